//! Connections over HTTP/1.1, each of which carries one request at a time.

use super::*;

#[tokio::test(start_paused = true)]
async fn over_http_1_each_has_a_connection_and_idle_ones_are_used_again() {
    let mut stage = Stage::of(Some(false));
    let asked = stage.ask(1, 3).await;
    assert_eq!(stage.begun(), 3);
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(stage.connected(1, false).await);
    }
    let (leases, _) = served(asked).await;
    assert_eq!(numbers(&leases), [0, 1, 2]);
    // Two are kept, whatever there was: those used last.
    drop(leases);
    assert_eq!(stage.pool.0.lock().idle, 2);
    open[1].store(false, Ordering::Relaxed);
    let (again, _) = served(stage.ask(1, 1).await).await;
    assert_eq!((numbers(&again), stage.begun()), (vec![2], 3));
    assert_eq!(stage.pool.0.lock().idle, 0);
}

#[tokio::test(start_paused = true)]
async fn a_crowd_of_one_caller_closes_no_idle_connection_of_another() {
    let mut stage = Stage::of(Some(false));
    let one = stage.ask(1, 1).await;
    stage.connected(1, false).await;
    drop(served(one).await.0);
    let crowd = stage.ask(2, 5).await;
    for _ in 0..5 {
        stage.connected(1, false).await;
    }
    drop(served(crowd).await.0);
    let idle = |caller: u32| {
        let connections = stage.pool.0.lock();
        connections.callers[&Caller::new(Some(caller), None)]
            .idle
            .len()
    };
    assert_eq!((idle(1), idle(2)), (1, 1));
    let (again, _) = served(stage.ask(1, 1).await).await;
    assert_eq!(numbers(&again), [0]);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_is_used_at_once_and_one_whose_answer_has_just_ended_after_a_turn() {
    let mut stage = Stage::of(Some(false));
    stage.are_ready.store(false, Ordering::Relaxed);
    let asked = stage.ask(1, 1).await;
    stage.connected(1, false).await;
    let (lease, _) = served(asked).await;
    assert_eq!((numbers(&lease), stage.begun()), (vec![0], 1));
    drop(lease);
    // It becomes ready in the turn that is left to it.
    let are_ready = Arc::clone(&stage.are_ready);
    let pool = Arc::clone(&stage.pool);
    let again = tokio::spawn(async move { pool.take(&Caller::new(Some(1), None)).await });
    let driver = tokio::spawn(async move { are_ready.store(true, Ordering::Relaxed) });
    driver.await.unwrap();
    assert_eq!(again.await.unwrap().ok().unwrap().connection.number, 0);
    assert_eq!(stage.begun(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_burst_over_http_1_that_was_not_known_opens_one_for_each() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 3).await;
    assert_eq!(stage.begun(), 1);
    stage.connected(1, false).await;
    assert_eq!(stage.begun(), 3);
    stage.connected(1, false).await;
    stage.connected(1, false).await;
    assert_eq!(served(asked).await.0.len(), 3);
}
