use super::*;

use crate::status::{Connections, Credential, Dropped, Fault, OutcomeCount, Requests, Tokens};

fn status() -> Status {
    let outcome = |outcome: &str, code: Option<&str>, count| OutcomeCount {
        outcome: outcome.to_owned(),
        code: code.map(str::to_owned),
        count,
    };
    let tokens = Tokens {
        input: 10_140,
        cached: 8_192,
        output: 312,
        reasoning: 64,
    };
    Status {
        v: 1,
        state: State::Serving,
        version: "0.1.0".to_owned(),
        pid: 4242,
        uptime_seconds: 7_980.0,
        listening: vec!["127.0.0.1:8787".to_owned(), "unix:/run/s".to_owned()],
        upstream: Upstream {
            name: "api.openai.com".to_owned(),
            tls: true,
            connections: 1,
            last_fault: Some(Fault {
                seconds_ago: 65.0,
                outcome: "upstream_failed".to_owned(),
                code: "upstream_connect".to_owned(),
                cause: "refused\u{1b}[2J".to_owned(),
                ..Fault::default()
            }),
            ..Upstream::default()
        },
        protections: vec!["process: no core dumps".to_owned()],
        credential: Credential {
            kind: "file".to_owned(),
            generation: 2,
            available: true,
            age_seconds: Some(30.0),
            ..Credential::default()
        },
        requests: Requests {
            finished: 5,
            in_flight: 1,
            most_in_flight: 3,
            outcomes: vec![
                outcome("complete", None, 4),
                outcome("refused", Some("path_not_allowed"), 1),
            ],
        },
        tokens,
        cost_usd: Some(1.239),
        connections: Connections {
            open: 2,
            slots: 8_192,
            evicted: 0,
        },
        callers: vec![Caller {
            name: "alice/ci".to_owned(),
            connections: 2,
            in_flight: 1,
            tokens_per_second: 41.6,
            requests: 5,
            refused: 1,
            tokens,
            cost_usd: Some(1.239),
            ..Caller::default()
        }],
        budgets: Some(vec![Budget {
            account: "total".to_owned(),
            measure: "usd".to_owned(),
            per: "day".to_owned(),
            limit: 20.0,
            spent: 1.239,
            reserved: 0.5,
            remaining: 18.261,
            resets_in_seconds: Some(3_600.0),
        }]),
        ..Status::default()
    }
}

#[test]
fn a_status_is_these_lines() {
    let expected = "\
state:        serving (process 4242, version 0.1.0, for 2h 13m)
listening on: 127.0.0.1:8787, unix:/run/s
upstream:     api.openai.com by TLS, 1 connection
last fault:   1m 05s ago: upstream_failed upstream_connect: refused\\u{1b}[2J
credential:   file, generation 2, in force for 30s
requests:     5 finished (4 complete, 1 refused path_not_allowed), 1 in flight (at most 3)
tokens:       10.1k of input (8.2k cached), 312 of output (64 reasoning)
cost:         $1.24
connections:  2 of 8192
log lines:    none dropped
protections:
  process: no core dumps

CALLER    CONNECTIONS  IN FLIGHT  TOK/S  REQUESTS  REFUSED  INPUT  OUTPUT   COST
alice/ci            2          1     42         5        1  10.1k     312  $1.24

ACCOUNT       LIMIT  SPENT  RESERVED  REMAINING  RESETS IN
total    $20.00/day  $1.24    $0.500     $18.26     1h 00m
";
    assert_eq!(report(&status()), expected);
}

#[test]
fn nothing_is_said_of_what_is_not_there_and_all_of_what_is_wrong() {
    let status = Status {
        state: State::Draining,
        cost_usd: None,
        budgets: None,
        callers: Vec::new(),
        warnings: vec!["what callers ask is written".to_owned()],
        credential: Credential {
            kind: "token_file".to_owned(),
            available: false,
            failures: 2,
            ..Credential::default()
        },
        dropped: Dropped {
            access_log: 3,
            ..Dropped::default()
        },
        ..status()
    };
    let said = report(&status);
    for line in [
        "draining: it ends",
        "cost:         -\n",
        "none in force, 2 failures to get another",
        "dropped: 3 of the access log\n",
        "warnings:\n  what callers ask is written\n",
    ] {
        assert!(said.contains(line), "{line} in {said}");
    }
    assert!(!said.contains("ACCOUNT") && !said.contains("CALLER"));
    let none = Status {
        budgets: Some(Vec::new()),
        ..status
    };
    assert!(report(&none).ends_with("\nthe policy has no limits\n"));
}

#[test]
fn the_server_that_hosts_share_has_a_line_and_its_warnings_stand_with_the_others() {
    let mut ledger = SharedLedger {
        address: "redis://store:6379/0".to_owned(),
        up: true,
        since_answer_seconds: 0.4,
        errors: 2,
        error: None,
        warnings: vec!["it evicts".to_owned()],
    };
    let with = |ledger: &SharedLedger| {
        report(&Status {
            ledger: Some(ledger.clone()),
            ..status()
        })
    };
    let said = with(&ledger);
    assert!(
        said.contains("ledger:       redis://store:6379/0 up, last answer 0.4s ago, 2 failed\n"),
        "{said}"
    );
    assert!(
        said.contains("warnings:\n  --ledger: it evicts\n"),
        "{said}"
    );
    ledger.up = false;
    ledger.error = Some("it does not answer".to_owned());
    let said = with(&ledger);
    assert!(
        said.contains("6379/0 away: it does not answer, last"),
        "{said}"
    );
}

#[test]
fn a_table_is_bounded_whoever_answers() {
    let mut text = String::new();
    let wide = "模".repeat(1_000);
    let rows = vec![vec![wide, "1".to_owned()]; MOST_ROWS + 2];
    table(&mut text, &["name", "n"], rows);
    assert!(text.len() < MOST_ROWS * 4 * WIDEST, "{}", text.len());
    assert!(text.ends_with("and 2 more\n"));
    let row = text.lines().nth(1).unwrap();
    assert!(row.contains("模…"), "{row}");
}
