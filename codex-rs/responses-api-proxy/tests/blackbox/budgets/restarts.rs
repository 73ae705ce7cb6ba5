//! What was spent is known after a restart, however the proxy ended.

use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{Proxy, assert_openai_error};

use super::{post, request, upstream};
use crate::{PROXY, in_front_of};

const KILL: i32 = 9;
const TERM: i32 = 15;

/// How often the proxy is killed under load.
const KILLS: u32 = 10;

/// So old has a charge to be to survive.
const WRITTEN_WITHIN: Duration = Duration::from_secs(1);

fn start(
    upstream: &codex_test_support::MockUpstream,
    dir: &std::path::Path,
    policy: &str,
) -> Proxy {
    let (file, ledger) = (dir.join("policy.toml"), dir.join("ledger"));
    std::fs::write(&file, policy).unwrap();
    in_front_of(upstream)
        .arg("--policy")
        .arg(&file)
        .arg("--ledger")
        .arg(&ledger)
        .start()
}

const MANY: &str = "[everyone]\n[[everyone.limits]]\nrequests = 1000000\nper = \"month\"\n";

fn spent(dir: &std::path::Path) -> u64 {
    let output = std::process::Command::new(PROXY)
        .args(["budget", "show", "--ledger"])
        .arg(dir.join("ledger"))
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let line = text
        .lines()
        .find(|line| line.starts_with("everyone per month"))
        .unwrap_or_default();
    let spent = line
        .split("): ")
        .nth(1)
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or("0");
    spent.replace(',', "").parse().unwrap()
}

#[test]
fn what_was_spent_is_known_after_a_restart() {
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let policy = "[everyone]\n[[everyone.limits]]\nrequests = 3\nper = \"month\"\n";
    let body = request(10, 1).to_string();
    for count in [2, 1] {
        let mut proxy = start(&upstream, dir.path(), policy);
        for _ in 0..count {
            assert_eq!(post(&proxy, &body).status, 200);
        }
        if count == 1 {
            assert_openai_error(&post(&proxy, &body), 400, "budget_exceeded");
        }
        proxy.signal(TERM);
        assert_eq!(proxy.wait_exit().code(), Some(0));
    }
}

#[test]
fn a_proxy_that_is_killed_forgets_nothing_that_is_a_second_old() {
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let body = request(10, 1).to_string();
    let mut before = 0;
    for round in 0..KILLS {
        let mut proxy = start(&upstream, dir.path(), MANY);
        let until = Instant::now() + Duration::from_millis(u64::from(1_000 + round * 173 % 700));
        let settled: Vec<Instant> = thread::scope(|scope| {
            let asking: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        let mut settled = Vec::new();
                        while Instant::now() < until {
                            if post(&proxy, &body).status == 200 {
                                settled.push(Instant::now());
                            }
                        }
                        settled
                    })
                })
                .collect();
            asking
                .into_iter()
                .flat_map(|one| one.join().unwrap())
                .collect()
        });
        let killed = Instant::now();
        proxy.signal(KILL);
        proxy.wait_exit();
        let old = |at: &&Instant| killed.duration_since(**at) > WRITTEN_WITHIN;
        let least = before + u64::try_from(settled.iter().filter(old).count()).unwrap();
        let most = before + u64::try_from(settled.len()).unwrap() + 4;
        let now = spent(dir.path());
        assert!(
            (least..=most).contains(&now),
            "{round}: {least} <= {now} <= {most}"
        );
        before = now;
    }
    assert!(before > 0);
}
