//! Hosts and servers that die, and networks that part.

use std::time::{Duration, Instant};

use codex_ledger::{Down, Exceeded, Mode, Which};

use crate::host::{Setup, TTL, counted, server, tokens, until};

#[tokio::test]
async fn the_lease_of_a_host_that_dies_comes_back_and_what_it_held_is_charged() {
    let Some(server) = server() else { return };
    let dying = Setup::of(1_000, Mode::Expected).host(&server).await;
    assert!(dying.spend(10).await);
    let held = dying.admit(20).await.unwrap();
    until(&server, |(spent, leased)| spent == 10 && leased >= 20).await;
    // It has reported what it holds: the fourth number of its record.
    let is_held = |record: &str| record.split(' ').nth(3) == Some("20");
    while !server
        .ask("HVALS test:1:{total|tokens|month}:hosts")
        .lines()
        .any(is_held)
    {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    dying.kill();
    let dead = Instant::now();
    let living = Setup::of(1_000, Mode::Expected).host(&server).await;
    // 10 and 20 are gone; the rest can be had by a single request.
    let mut grant = loop {
        if let Ok(grant) = living.admit(970).await {
            break grant;
        }
        assert!(dead.elapsed() < Duration::from_secs(60));
    };
    grant.settle(tokens(970));
    until(&server, |(spent, _)| spent == 1_000).await;
    drop(held);
}

#[tokio::test]
async fn in_strict_mode_a_lease_whose_host_dies_is_charged_and_one_whose_host_was_cut_off_is_not() {
    let Some(server) = server() else { return };
    let dying = Setup::of(1_000, Mode::Strict).host(&server).await;
    assert!(dying.spend(10).await);
    let (_, leased) = until(&server, |(spent, leased)| spent == 10 && leased > 0).await;
    dying.kill();
    let living = Setup::of(1_000, Mode::Strict).host(&server).await;
    tokio::time::sleep(TTL).await;
    assert!(living.spend(10).await);
    until(&server, |(spent, _)| spent == 20 + leased).await;
}

#[tokio::test]
async fn a_server_that_is_killed_loses_no_charge_and_counts_none_twice() {
    let Some(mut server) = server() else { return };
    let host = Setup::of(100_000, Mode::Expected).host(&server).await;
    let mut spent = 0;
    for round in 0..40 {
        assert!(host.spend(10).await);
        spent += 10;
        if round == 20 {
            until(&server, |(counted, _)| counted > 0).await;
            server.kill();
        }
        if round == 30 {
            server.restart();
        }
    }
    until(&server, |(counted, _)| counted == spent).await;
    host.end().await;
    assert_eq!(counted(&server).await, (spent, 0));
}

#[tokio::test]
async fn what_is_sent_again_because_nobody_answered_counts_once() {
    let Some(server) = server() else { return };
    let host = Setup::of(100_000, Mode::Expected).host(&server).await;
    // It takes what is sent, and does so when nobody waits for the answer any more.
    server.stop();
    assert!(host.spend(70).await);
    let away = Instant::now();
    while host.state.standing().errors < 2 {
        assert!(away.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.go_on();
    until(&server, |(counted, _)| counted == 70).await;
    host.end().await;
    assert_eq!(counted(&server).await, (70, 0));
}

#[tokio::test]
async fn while_the_server_is_away_each_choice_does_what_it_says() {
    let Some(server) = server() else { return };
    let host = |down| {
        let mut setup = Setup::of(1_000, Mode::Strict);
        setup.down = down;
        setup.host(&server)
    };
    let refusing = host(Down::Refuse).await;
    let local = host(Down::Local).await;
    let allowing = host(Down::Allow).await;
    assert!(refusing.spend(100).await);
    until(&server, |(spent, _)| spent == 100).await;
    // Both have heard of it.
    assert!(local.spend(1).await && allowing.spend(1).await);
    until(&server, |(spent, _)| spent == 102).await;
    server.stop();
    let begun = Instant::now();
    let is_away = |host: &crate::host::Host| !host.state.standing().is_up;
    while ![&refusing, &local, &allowing].into_iter().all(is_away) || begun.elapsed() < TTL {
        assert!(begun.elapsed() < Duration::from_secs(60));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let Err(Exceeded { what, .. }) = refusing.admit(500).await else {
        panic!("it was let through");
    };
    assert!(matches!(what, Which::StoreAway { .. }), "{what:?}");
    assert!(local.spend(800).await && !local.spend(200).await);
    assert!(allowing.spend(5_000).await);
    server.go_on();
    until(&server, |(spent, _)| spent == 5_902).await;
    // And then there is nothing left for anybody.
    let begun = Instant::now();
    while allowing.spend(1).await || local.spend(1).await {
        assert!(begun.elapsed() < Duration::from_secs(60));
        // A request that need not wait gives nobody else a turn.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
