//! The driver at work, with the only contestant that needs nothing installed.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::process::Command;

fn bench() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_codex-bench"));
    command.arg("run");
    command
}

#[test]
fn a_short_run_without_a_proxy_measures_every_kind_of_scenario() {
    let dir = tempfile::tempdir().unwrap();
    let output = bench()
        .args(["--quick", "--rounds", "1", "--contestants", "direct"])
        .args(["--only", "S1,S2-h1,S2-open,S3-h1,S4,S5,S6,S10-h1,S11"])
        .args([
            "--streams",
            "500",
            "--gigabytes",
            "0.05",
            "--soak",
            "10000",
            "--out",
        ])
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let results = std::fs::read_to_string(dir.path().join("results.md")).unwrap();
    for scenario in ["S1", "S2", "S3", "S4", "S5", "S6-flowing", "S6-silent"] {
        let (_, table) = results.split_once(&format!("\n## {scenario}\n")).unwrap();
        let row = table.lines().find(|line| line.starts_with("| direct |"));
        assert!(row.unwrap().contains("| HTTP/1.1 |"), "{scenario}: {row:?}");
    }
    assert!(!results.contains("failed"), "{results}");
    for figure in ["s1-latency.svg", "s3-latency.svg"] {
        assert!(results.contains(&format!("]({figure})")));
        let svg = std::fs::read_to_string(dir.path().join(figure)).unwrap();
        assert!(
            svg.contains(">direct<") || svg.contains("direct\n"),
            "{svg}"
        );
    }
}

#[test]
fn a_missing_program_is_named() {
    let output = bench()
        .env("PATH", "/nowhere")
        .args([
            "--contestants",
            "direct,ours,peer",
            "--only",
            "S6-silent",
            "--quick",
        ])
        .args(["--rounds", "1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("skipped: ours: "), "{said}");
    assert!(said.contains("skipped: peer is not installed"), "{said}");
}

#[test]
fn a_scenario_that_does_not_exist_is_refused() {
    let output = bench().args(["--only", "S12"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("S2-paced"), "{said}");
}
