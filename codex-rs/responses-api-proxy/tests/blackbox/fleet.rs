//! Proxies that share their limits by a real server.

mod servers;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{
    MockUpstream, Proxy, RedisServer, Reply, TEST_KEY, assert_openai_error, run_to_exit, skipped,
};

use crate::{PROXY, in_front_of};

const BODY: &str = r#"{"model":"gpt-5.2","input":"x"}"#;

fn server(arguments: &[&str]) -> Option<RedisServer> {
    let server = RedisServer::start(arguments);
    if server.is_none() {
        skipped("needs redis-server or valkey-server (Debian: redis-server)");
    }
    server
}

fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::json(200, &serde_json::json!({ "id": "resp_1" })))
}

fn sharing(upstream: &MockUpstream, ledger: &str, limit: &str, args: &[&str]) -> Proxy {
    in_front_of(upstream)
        .args([
            "--budget",
            limit,
            "--ledger",
            ledger,
            "--ledger-lease",
            "2s",
        ])
        .args(args.iter().copied())
        .start()
}

fn ask(proxy: &Proxy) -> u16 {
    let json = [("content-type", "application/json")];
    let answer = proxy
        .client()
        .post("/v1/responses", &json, BODY)
        .read_answer();
    answer.status
}

fn show(ledger: &str) -> String {
    let output = run_to_exit(PROXY, &["budget", "show", "--ledger", ledger], &[], b"");
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    output.stdout
}

fn until_shown(ledger: &str, wanted: &str) {
    let begun = Instant::now();
    loop {
        let shown = show(ledger);
        if shown.contains(wanted) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "{shown}");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn five_proxies_spend_one_limit_together_and_not_more() {
    let Some(server) = server(&[]) else { return };
    let upstream = upstream();
    let proxies: Vec<Proxy> = (0..5)
        .map(|_| {
            sharing(
                &upstream,
                &server.url(),
                "requests=400/month",
                &["--threads", "1"],
            )
        })
        .collect();
    let allowed = thread::scope(|scope| {
        let asking: Vec<_> = (0..25)
            .map(|number: usize| {
                let proxy = &proxies[number % proxies.len()];
                scope.spawn(move || (0..20).filter(|_| ask(proxy) == 200).count())
            })
            .collect();
        asking
            .into_iter()
            .map(|asked| asked.join().unwrap())
            .sum::<usize>()
    });
    assert!((360..=400).contains(&allowed), "{allowed} of 400");
    until_shown(
        &server.url(),
        &format!("{allowed} requests of 400 requests spent"),
    );
    drop(proxies);
}

#[test]
fn a_proxy_that_ends_gives_back_and_one_that_is_killed_is_missed() {
    let Some(server) = server(&[]) else { return };
    let upstream = upstream();
    let limit = "requests=100/month";
    let mut ending = sharing(&upstream, &server.url(), limit, &[]);
    assert_eq!(ask(&ending), 200);
    ending.signal(15);
    ending.wait_exit();
    until_shown(
        &server.url(),
        "1 request of 100 requests spent (1 %), 0 requests leased",
    );
    let mut killed = sharing(&upstream, &server.url(), limit, &[]);
    assert_eq!(ask(&killed), 200);
    until_shown(&server.url(), "2 requests of 100 requests spent");
    killed.signal(9);
    killed.wait_exit();
    // Whoever reports next finds it dead.
    let living = sharing(&upstream, &server.url(), limit, &[]);
    thread::sleep(Duration::from_secs(2));
    for _ in 0..98 {
        assert_eq!(ask(&living), 200);
    }
    assert_eq!(ask(&living), 400);
}

#[test]
fn a_server_that_is_away_is_told_of_and_requests_are_refused_so_that_they_are_tried_again() {
    let Some(server) = server(&[]) else { return };
    let upstream = upstream();
    let proxy = sharing(&upstream, &server.url(), "requests=100/month", &[]);
    assert_eq!(ask(&proxy), 200);
    server.stop();
    proxy.wait_for_stderr("is away: it does not answer; requests are refused");
    thread::sleep(Duration::from_secs(2));
    let json = [("content-type", "application/json")];
    let answer = proxy
        .client()
        .post("/v1/responses", &json, BODY)
        .read_answer();
    assert_openai_error(&answer, 429, "rate_limited");
    server.go_on();
    proxy.wait_for_stderr("is there again, after");
    assert_eq!(ask(&proxy), 200);
}

#[test]
fn a_password_comes_from_a_file_and_is_never_shown() {
    let Some(server) = server(&["--requirepass", "hunter2"]) else {
        return;
    };
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let with = ["--ledger-password-file", file.to_str().unwrap()];
    let proxy = sharing(&upstream, &server.url(), "requests=100/month", &with);
    assert_eq!(ask(&proxy), 200);
    assert!(!proxy.stderr_so_far().contains("hunter2"));
    let typed = format!("redis://:hunter2@127.0.0.1:{}", server.port());
    let args = ["--budget", "requests=1/day", "--ledger", &typed];
    let refused = run_to_exit(PROXY, &args, &[], TEST_KEY.as_bytes());
    assert!(matches!(refused.code, Some(1 | 2)), "{refused:?}");
    assert!(
        refused.stderr.contains("--ledger-password-file FILE"),
        "{}",
        refused.stderr
    );
    assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
    std::fs::write(&file, "another\n").unwrap();
    let wrong = sharing(&upstream, &server.url(), "requests=100/month", &with);
    wrong.wait_for_stderr("it does not take the user or the password");
    wrong.wait_for_stderr("check --ledger-password-file");
    assert!(!wrong.stderr_so_far().contains("another"));
}

#[test]
fn a_unix_socket_is_reached_from_within_the_sandbox_and_budgets_are_shown_and_reset() {
    let Some(server) = server(&[]) else { return };
    let upstream = upstream();
    let ledger = format!("redis+unix:{}", Path::new(&server.socket()).display());
    let proxy = sharing(
        &upstream,
        &ledger,
        "requests=4/month",
        &["--budget-mode", "strict"],
    );
    for _ in 0..4 {
        let body = r#"{"model":"gpt-5.2","input":"x","max_output_tokens":9}"#;
        let json = [("content-type", "application/json")];
        let answer = proxy
            .client()
            .post("/v1/responses", &json, body)
            .read_answer();
        assert_eq!(answer.status, 200);
    }
    until_shown(
        &ledger,
        "everyone per month: 4 requests of 4 requests spent (100 %)",
    );
    let top = run_to_exit(
        PROXY,
        &["budget", "top", "-n", "1", "--ledger", &ledger],
        &[],
        b"",
    );
    assert!(
        top.stdout.starts_with("everyone per month: 4 requests"),
        "{}",
        top.stdout
    );
    let reset = run_to_exit(
        PROXY,
        &[
            "budget",
            "reset",
            "--account",
            "everyone",
            "--ledger",
            &ledger,
        ],
        &[],
        b"",
    );
    assert_eq!(reset.stdout, "1 removed\n");
    until_shown(
        &ledger,
        "everyone per month: 0 requests of 4 requests spent",
    );
}
