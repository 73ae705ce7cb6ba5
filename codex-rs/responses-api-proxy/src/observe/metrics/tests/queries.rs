//! What the dashboard and the alert rules ask for.

use super::*;

#[test]
fn the_dashboard_can_be_imported_and_asks_for_what_there_is() {
    let dashboard: serde_json::Value = serde_json::from_str(DASHBOARD).unwrap();
    assert!(dashboard["title"].is_string() && dashboard["schemaVersion"].is_u64());
    assert_eq!(dashboard["id"], serde_json::Value::Null);
    let panels = dashboard["panels"].as_array().unwrap();
    assert!(panels.len() >= 8);
    let mut ids = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(panel["id"].as_u64().unwrap()));
        assert!(!panel["title"].as_str().unwrap().is_empty());
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty());
        for target in targets {
            assert_exists(target["expr"].as_str().unwrap());
        }
    }
}

#[test]
fn the_alert_rules_ask_for_what_there_is() {
    let queries: Vec<&str> = OBSERVING
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("expr: "))
        .collect();
    assert_eq!(queries.len(), 3);
    for query in queries {
        assert_exists(query);
    }
}
