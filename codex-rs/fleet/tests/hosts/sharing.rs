//! What hosts may spend together.

use std::sync::Arc;
use std::time::Duration;

use codex_ledger::{Clock, ManualClock, Mode};

use crate::host::{Host, Setup, far_from, server, tokens, until};

async fn hosts(
    count: usize,
    most: u64,
    mode: Mode,
    server: &codex_test_support::RedisServer,
) -> Vec<Arc<Host>> {
    let mut hosts = Vec::new();
    for _ in 0..count {
        hosts.push(Arc::new(Setup::of(most, mode).host(server).await));
    }
    hosts
}

/// How many of so many requests at once, dealt to the hosts in turn, may spend 10 each.
async fn rush(hosts: &[Arc<Host>], requests: usize) -> u64 {
    let requests: Vec<_> = (0..requests)
        .map(|number| {
            let host = Arc::clone(&hosts[number % hosts.len()]);
            tokio::spawn(async move { host.spend(10).await })
        })
        .collect();
    let mut allowed = 0;
    for request in requests {
        allowed += u64::from(request.await.unwrap());
    }
    allowed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hosts_spend_all_of_a_limit_and_in_strict_mode_no_more() {
    let Some(server) = server() else { return };
    let hosts = hosts(5, 4_000, Mode::Strict, &server).await;
    let allowed = rush(&hosts, 500).await;
    assert!((360..=400).contains(&allowed), "{allowed} of 400");
    let (spent, _) = until(&server, |(spent, _)| spent == allowed * 10).await;
    assert!(spent <= 4_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_host_takes_while_its_report_is_under_way_is_not_given_to_others() {
    let Some(server) = server() else { return };
    let dir = tempfile::tempdir().unwrap();
    let far = far_from(&server, Duration::from_millis(25), dir.path());
    let mut hosts = Vec::new();
    for _ in 0..5 {
        hosts.push(Arc::new(
            Setup::of(4_000, Mode::Strict).host_by(far.clone()).await,
        ));
    }
    let mut allowed = 0;
    for each in [18, 7] {
        let callers: Vec<_> = (0..20)
            .map(|number: usize| {
                let host = Arc::clone(&hosts[number % hosts.len()]);
                tokio::spawn(async move {
                    let mut allowed = 0;
                    for _ in 0..each {
                        let Ok(mut grant) = host.admit(10).await else {
                            break;
                        };
                        tokio::time::sleep(Duration::from_millis(3)).await;
                        grant.settle(tokens(10));
                        allowed += 1;
                    }
                    allowed
                })
            })
            .collect();
        for caller in callers {
            allowed += caller.await.unwrap();
        }
    }
    assert!((360..=400).contains(&allowed), "{allowed} of 400");
    until(&server, |(spent, _)| spent == allowed * 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_refused_while_a_tenth_of_the_limit_is_left() {
    let Some(server) = server() else { return };
    let hosts = hosts(5, 10_000, Mode::Expected, &server).await;
    assert_eq!(rush(&hosts, 500).await, 500);
    assert_eq!(rush(&hosts, 400).await, 400);
    until(&server, |(spent, _)| spent == 9_000).await;
    // One host alone gets what the others have no use for.
    let mut alone = 0;
    while hosts[0].spend(10).await {
        alone += 1;
    }
    assert!((95..=100).contains(&alone), "{alone} of 100");
}

#[tokio::test]
async fn a_host_that_ends_gives_back_what_it_has_not_spent() {
    let Some(server) = server() else { return };
    let host = Setup::of(1_000, Mode::Strict).host(&server).await;
    assert!(host.spend(10).await);
    until(&server, |(_, leased)| leased > 0).await;
    host.end().await;
    until(&server, |counted| counted == (10, 0)).await;
}

#[tokio::test]
async fn windows_go_by_the_clock_of_the_server() {
    let Some(server) = server() else { return };
    let clock = |ahead: i64| {
        let now = std::time::SystemTime::now();
        let unix = now.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
        // In another month, if this were believed.
        let at = ManualClock::at(unix.saturating_add_signed(ahead * 32 * 86_400));
        (Clock::manual(&at), at)
    };
    let ((slow, slow_time), (fast, _)) = (clock(-1), clock(1));
    let mut one = Setup::of(100, Mode::Strict);
    one.clock = slow;
    let mut other = Setup::of(100, Mode::Strict);
    other.clock = fast;
    let one = one.host(&server).await;
    assert!(one.admit(5).await.is_ok());
    // Its own time stands still, and the server is asked no sooner than after 10 ms.
    slow_time.advance(Duration::from_millis(20));
    let mut grant = one.admit(60).await.unwrap();
    grant.settle(crate::host::tokens(60));
    // Time stands still there, so nothing is due before this.
    slow_time.advance(Duration::from_millis(600));
    until(&server, |(spent, _)| spent == 65).await;
    let other = other.host(&server).await;
    assert_eq!(other.known(), 65);
    assert!(!other.spend(36).await);
}
