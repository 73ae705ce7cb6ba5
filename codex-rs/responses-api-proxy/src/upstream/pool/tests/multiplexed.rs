//! Connections over HTTP/2: how many a burst opens, and whose they are.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_burst_opens_as_many_connections_as_it_needs_and_one_carries_one_until_it_has_spoken() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 6).await;
    assert_eq!(stage.begun(), 2);
    stage.connected(4, true).await;
    let (first, waiting) = served(asked).await;
    assert_eq!(numbers(&first), [0]);
    stage.servers_speak().await;
    let (more, waiting) = served(waiting).await;
    assert_eq!(numbers(&more), [0, 0, 0]);
    stage.connected(4, true).await;
    stage.servers_speak().await;
    let (rest, waiting) = served(waiting).await;
    assert_eq!((numbers(&rest), waiting.len()), (vec![1, 1], 0));
    assert_eq!(stage.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_allows_little_gets_more_connections() {
    let mut stage = Stage::of(None);
    let mut waiting = stage.ask(1, 6).await;
    let mut leases = Vec::new();
    while !waiting.is_empty() {
        stage.connected(1, true).await;
        stage.servers_speak().await;
        let (more, others) = served(waiting).await;
        leases.extend(more);
        waiting = others;
    }
    assert_eq!(numbers(&leases), [0, 1, 2, 3, 4, 5]);
}

#[tokio::test(start_paused = true)]
async fn callers_share_nothing() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 1).await;
    stage.connected(4, true).await;
    stage.servers_speak().await;
    let (first, _) = served(asked).await;
    let other = stage.ask(2, 1).await;
    assert_eq!(stage.begun(), 2);
    stage.connected(4, true).await;
    let (second, _) = served(other).await;
    assert_eq!((numbers(&first), numbers(&second)), (vec![0], vec![1]));
    drop((first, second));
    let again = served(stage.ask(1, 1).await).await.0;
    let other = served(stage.ask(2, 1).await).await.0;
    assert_eq!((numbers(&again), numbers(&other)), (vec![0], vec![1]));
}

#[tokio::test(start_paused = true)]
async fn the_first_caller_takes_over_what_the_proxy_had_made() {
    let mut stage = Stage::of(None);
    let pool = Arc::clone(&stage.pool);
    let ours = tokio::spawn(async move { pool.take(&Caller::proxy()).await });
    settle().await;
    stage.connected(4, true).await;
    stage.servers_speak().await;
    drop(ours.await.unwrap());
    let (first, _) = served(stage.ask(1, 1).await).await;
    assert_eq!((numbers(&first), stage.begun()), (vec![0], 1));
    assert!(first[0].is_reused());
    let _second = stage.ask(2, 1).await;
    assert_eq!(stage.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn where_a_connection_carries_one_request_each_request_gets_one() {
    const REQUESTS: usize = MANY_MULTIPLEXED + 20;
    let mut stage = Stage::of(Some(true));
    let mut waiting = stage.ask(1, REQUESTS).await;
    let mut leases = Vec::new();
    for _ in 0..REQUESTS {
        stage.connected(1, true).await;
        stage.servers_speak().await;
        let (more, others) = served(waiting).await;
        leases.extend(more);
        waiting = others;
    }
    assert_eq!((leases.len(), waiting.len()), (REQUESTS, 0));
    assert_eq!(stage.begun(), REQUESTS);
}

/// A server that turns out to allow no requests at all.
#[tokio::test(start_paused = true)]
async fn a_caller_whose_connections_may_carry_nothing_is_told_so_after_a_while() {
    let mut stage = Stage::of(Some(true));
    let mut waiting = stage.ask(1, MANY_MULTIPLEXED).await;
    for _ in 0..MANY_MULTIPLEXED {
        stage.connected(0, true).await;
        stage.servers_speak().await;
        // Carried before the server had spoken; and over.
        let (more, others) = served(waiting).await;
        drop(more);
        waiting = others;
    }
    assert!(waiting.is_empty());
    let mut late = stage.ask(1, 1).await;
    tokio::time::sleep(CONNECT_TIMEOUT + TRY_ANOTHER_AFTER).await;
    let refused = late.remove(0).await.unwrap();
    assert!(matches!(refused.err(), Some(UpstreamError::Busy)));
    assert_eq!(stage.begun(), MANY_MULTIPLEXED);
}

#[tokio::test(start_paused = true)]
async fn what_is_idle_for_long_is_closed_and_nothing_is_left() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 1).await;
    stage.connected(4, true).await;
    stage.servers_speak().await;
    drop(served(asked).await.0);
    tokio::time::sleep(KEPT_IDLE - SWEEP_EVERY).await;
    assert_eq!(stage.pool.0.lock().callers.len(), 1);
    tokio::time::sleep(SWEEP_EVERY * 2).await;
    assert_eq!(stage.pool.0.lock().callers.len(), 0);
    let _next = stage.ask(1, 1).await;
    assert_eq!(stage.begun(), 2);
}
