mod queries;

use super::*;

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use codex_fleet::FleetState;

use crate::inspect::answer::facts::{AnswerFacts, TokenCounts};
use crate::observe::metrics::exposition::{Budget, CredentialStanding, Moment, Registered};
use crate::observe::outcome::Outcome;
use crate::observe::upstream_connections::UpstreamConnections;

const OBSERVING: &str = include_str!("../../../../../docs/observing.md");
const DASHBOARD: &str = include_str!("../../../../../docs/grafana.json");

fn finished(uid: u32, model: Option<&str>, outcome: Outcome) -> Finished {
    let asked = model.is_some();
    Finished {
        credential: None,
        number: 1,
        at: SystemTime::UNIX_EPOCH,
        outcome,
        caller: CallerFacts {
            uid: Some(uid),
            token: None,
        },
        method: Some(http::Method::POST),
        path: asked.then_some("/v1/responses"),
        status: Some(200),
        duration: Duration::from_millis(1500),
        first_byte: asked.then_some(Duration::from_millis(300)),
        first_output: asked.then_some(Duration::from_millis(700)),
        request_bytes: 2,
        response_bytes: 2,
        request_model: None,
        upstream_request_id: None,
        is_stream: true,
        estimated_nano_usd: None,
        answer: model.map(|model| AnswerFacts {
            model: Some(model.into()),
            usage: Some(TokenCounts {
                cache_write: 0,
                input: 1000,
                cached: 100,
                output: 10,
                reasoning: 1,
            }),
            ..AnswerFacts::default()
        }),
    }
}

fn refused(uid: u32) -> Finished {
    let (code, cause) = ("caller_not_allowed", String::new());
    Finished {
        method: None,
        ..finished(uid, None, Outcome::Refused { code, cause })
    }
}

fn cost(usd: f64) -> Option<Cost> {
    Some(Cost {
        usd,
        is_estimated: false,
    })
}

fn text(registered: Registered) -> String {
    let upstream = UpstreamConnections::new();
    drop(upstream.note_open(Duration::from_millis(30)));
    let moment = || Moment {
        connections: 3,
        budgets: vec![Budget {
            account: "user:1001".to_owned(),
            measure: "usd",
            per: "day".to_owned(),
            most: 20.0,
            spent: 1.5,
            held: 0.25,
            leased: None,
        }],
        credential: Some(CredentialStanding::default()),
        store: Some(FleetState::new(String::new()).standing()),
        ..Moment::default()
    };
    let exposition = registered.complete(&[], false, &upstream, moment);
    exposition.text().unwrap()
}

/// What a scrape says after these requests, each with its cost.
fn after<'a>(requests: impl IntoIterator<Item = (&'a Finished, Option<Cost>)>) -> String {
    let (mut metrics, registered) = Registered::new();
    for (finished, cost) in requests {
        metrics.record(finished, cost, &UserNames::default());
    }
    text(registered)
}

/// The sum of all series that begin so and have this label, if one is asked for.
fn sum(text: &str, name: &str, label: &str) -> f64 {
    let lines = text.lines().filter(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']) && line.contains(label))
    });
    lines
        .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
        .sum()
}

/// All values that a label has anywhere.
fn values<'a>(text: &'a str, label: &str) -> BTreeSet<&'a str> {
    let series = text.lines().filter(|line| !line.starts_with('#'));
    let mark = format!("{label}=\"");
    series
        .filter_map(|line| line.split(mark.as_str()).nth(1)?.split('"').next())
        .collect()
}

#[test]
fn names_are_bounded_and_nothing_is_lost_by_it() {
    let requests: Vec<Finished> = (0..3000)
        .map(|n| {
            let model = format!("model-{}", n % 100);
            finished(n % 300, Some(&model), Outcome::Complete)
        })
        .collect();
    let text = after(requests.iter().map(|request| (request, cost(0.25))));
    assert_eq!(values(&text, "model").len(), MOST_MODELS + 1);
    assert_eq!(values(&text, "caller").len(), MOST_CALLERS + 1);
    for label in ["model", "caller"] {
        assert!(values(&text, label).contains("other"));
    }
    assert_eq!(sum(&text, "codex_proxy_requests_total", ""), 3000.0);
    for (kind, expected) in [
        ("input", 3e6),
        ("cached", 3e5),
        ("output", 3e4),
        ("reasoning", 3e3),
    ] {
        let label = format!("type=\"{kind}\"");
        assert_eq!(sum(&text, "codex_proxy_tokens_total", &label), expected);
    }
    assert_eq!(sum(&text, "codex_proxy_cost_usd_total", ""), 750.0);
    for (name, expected) in [
        ("gen_ai_server_request_duration_seconds", 4500.0),
        ("gen_ai_server_time_to_first_token_seconds", 2100.0),
    ] {
        assert_eq!(sum(&text, &format!("{name}_count"), ""), 3000.0);
        let seconds = sum(&text, &format!("{name}_sum"), "");
        assert!((seconds - expected).abs() < 1e-6, "{seconds}");
    }
}

#[test]
fn callers_that_are_refused_do_not_take_the_names_of_those_who_are_served() {
    let strangers: Vec<Finished> = (10_000..11_000).map(refused).collect();
    let served: Vec<Finished> = (0..150)
        .map(|uid| finished(uid, Some("gpt"), Outcome::Complete))
        .collect();
    let all = strangers.iter().chain(&served).map(|one| (one, None));
    let text = after(all);
    let callers = values(&text, "caller");
    assert_eq!(callers.len(), MOST_REFUSED_CALLERS + 1 + 150);
    for uid in 0..150_u32 {
        assert!(callers.contains(uid.to_string().as_str()), "{uid}");
    }
    let refused = "outcome=\"refused\"";
    assert_eq!(sum(&text, "codex_proxy_requests_total", refused), 1000.0);
    let code = "code=\"caller_not_allowed\"";
    assert_eq!(
        sum(&text, "codex_proxy_refused_before_head_total", code),
        1000.0
    );
    // What was refused took no time of the upstream's.
    let durations = "gen_ai_server_request_duration_seconds_count";
    assert_eq!(sum(&text, durations, ""), 150.0);
}

#[test]
fn what_an_upstream_calls_a_model_cannot_break_a_line() {
    let odd = finished(
        1,
        Some("a\"b\\c\nd\u{1b}e} 1\nevil_total 9"),
        Outcome::Complete,
    );
    let text = after([(&odd, None)]);
    assert!(
        text.contains(r#"model="a\"b\\c\\nd\\u{1b}e} 1\\nevil_total 9""#),
        "{text}"
    );
    assert!(!text.lines().any(|line| line.starts_with("evil_total")));
}

#[test]
fn a_cost_that_nobody_knows_is_not_a_cost_of_nothing() {
    let unknown = finished(1, Some("unpriced"), Outcome::Complete);
    let text = after([(&unknown, None)]);
    assert!(!text.contains("codex_proxy_cost_usd_total{"), "{text}");
}

#[test]
fn what_was_dropped_is_counted_by_what_dropped_it() {
    let (metrics, registered) = Registered::new();
    metrics.count_dropped(DroppedOf::Records, 2);
    metrics.count_dropped(DroppedOf::AccessLog, 3);
    let text = text(registered);
    let dropped = |log: &str| {
        let label = format!("log=\"{log}\"");
        sum(&text, "codex_proxy_log_lines_dropped_total", &label)
    };
    assert_eq!((dropped("records"), dropped("access_log")), (2.0, 3.0));
    assert!(text.contains(r#"codex_proxy_log_lines_dropped_total{log="stderr"}"#));
    assert_eq!(sum(&text, "codex_proxy_open_connections", ""), 3.0);
    assert_eq!(
        sum(&text, "codex_proxy_upstream_connect_seconds_count", ""),
        1.0
    );
    assert_eq!(
        sum(&text, "codex_proxy_protection", "name=\"sandbox\""),
        0.0
    );
}

#[test]
fn limits_and_what_is_spent_of_them_are_shown() {
    let requests = [refused(2)];
    let text = after(requests.iter().map(|request| (request, cost(1.0))));
    for line in [
        "codex_proxy_budget_limit{account=\"user:1001\",unit=\"usd\",per=\"day\"} 20.0\n",
        "codex_proxy_budget_spent{account=\"user:1001\",unit=\"usd\",per=\"day\"} 1.5\n",
        "codex_proxy_budget_held{account=\"user:1001\",unit=\"usd\",per=\"day\"} 0.25\n",
    ] {
        assert!(text.contains(line));
    }
}

/// Every metric that a scrape has once there were requests, its type, and its labels.
fn exposed() -> BTreeSet<(String, String, BTreeSet<String>)> {
    let requests = [finished(1, Some("gpt"), Outcome::Complete), refused(2)];
    let text = after(requests.iter().map(|request| (request, cost(1.0))));
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types
        .map(|line| {
            let (name, kind) = line.split_once(' ').unwrap();
            let series = text.lines().filter(|line| line.starts_with(name));
            let parts = series
                .filter_map(|line| line.split_once('{')?.1.rsplit_once('}'))
                .flat_map(|(labels, _)| labels.split("\","));
            let labels = parts.filter_map(|part| Some(part.split_once('=')?.0.to_owned()));
            let labels = labels.filter(|label| label != "le").collect();
            (name.to_owned(), kind.to_owned(), labels)
        })
        .collect()
}

#[test]
fn the_document_has_a_table_of_all_metrics() {
    let (_, section) = OBSERVING.split_once("\n## Metrics\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let told: BTreeSet<_> = rows
        .map(|row| {
            let cells: Vec<&str> = row.split('|').map(str::trim).collect();
            let name = cells[0].trim_end_matches('`').to_owned();
            let labels = cells[2].split('`').skip(1).step_by(2);
            // `name`: the label, and not one of the values in brackets.
            let labels = labels.filter(|label| !label.contains('"'));
            (
                name,
                cells[1].to_owned(),
                labels.map(str::to_owned).collect(),
            )
        })
        .collect();
    assert_eq!(told, exposed());
}

/// The names in a query of PromQL that are not functions, durations or strings.
fn names(query: &str) -> Vec<String> {
    let mut without_strings = String::new();
    for (at, part) in query.split('"').enumerate() {
        without_strings.push_str(if at % 2 == 0 { part } else { " " });
    }
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '$';
    let words = without_strings.split(|c: char| !is_of_name(c));
    words
        .filter(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
        .map(str::to_owned)
        .collect()
}

/// What a query may say besides names of metrics and labels.
const OF_PROMQL: [&str; 10] = [
    "sum",
    "by",
    "rate",
    "increase",
    "histogram_quantile",
    "le",
    "clamp_min",
    "or",
    "vector",
    "time",
];

#[track_caller]
fn assert_exists(query: &str) {
    let exposed = exposed();
    let found: Vec<String> = names(query);
    let is_metric = |word: &str| {
        exposed.iter().any(|(name, kind, _)| {
            let rest = word.strip_prefix(name.as_str());
            rest.is_some_and(|rest| match kind.as_str() {
                "histogram" => matches!(rest, "_bucket" | "_sum" | "_count"),
                _ => rest.is_empty(),
            })
        })
    };
    let is_label = |word: &str| exposed.iter().any(|(_, _, labels)| labels.contains(word));
    assert!(found.iter().any(|word| is_metric(word)), "{query}");
    for word in &found {
        let is_known = OF_PROMQL.contains(&word.as_str()) || is_metric(word) || is_label(word);
        assert!(is_known, "{word} in {query}");
    }
}
