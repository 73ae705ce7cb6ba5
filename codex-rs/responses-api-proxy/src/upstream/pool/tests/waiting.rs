//! Requests that wait for a connection: until one has a free slot, fails, takes long, or they give up.

use super::*;

#[tokio::test(start_paused = true)]
async fn room_that_is_given_back_goes_to_whoever_waits() {
    let mut stage = Stage::of(Some(true));
    let asked = stage.ask(1, 1).await;
    stage.connected(1, true).await;
    stage.servers_speak().await;
    let (first, _) = served(asked).await;
    let waiting = stage.ask(1, 1).await;
    drop(first);
    settle().await;
    let (second, _) = served(waiting).await;
    assert_eq!(numbers(&second), [0]);
}

#[tokio::test(start_paused = true)]
async fn where_one_takes_long_another_is_tried_and_then_all_go() {
    let mut stage = Stage::of(None);
    let asked = stage.ask(1, 3).await;
    assert_eq!(stage.begun(), 1);
    tokio::time::sleep(TRY_ANOTHER_AFTER + Duration::from_millis(1)).await;
    settle().await;
    assert_eq!(stage.begun(), 2, "three wait, and one more is tried");
    let stuck = stage.maker.pending.lock().unwrap().pop_front();
    stage.connected(4, true).await;
    stage.servers_speak().await;
    assert_eq!(served(asked).await.0.len(), 3);
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_final_for_whoever_began_and_the_others_try_once_more() {
    let mut stage = Stage::of(None);
    let fault = || Err(UpstreamError::Connect("refused".to_owned()));
    let mut asked = stage.ask(1, 3).await;
    stage.finish(fault()).await;
    assert!(asked.remove(0).await.unwrap().is_err());
    assert_eq!(stage.begun(), 2);
    assert!(asked.iter().all(|each| !each.is_finished()));
    stage.connected(4, true).await;
    stage.servers_speak().await;
    assert_eq!(served(asked).await.0.len(), 2);

    let refused = Stage::of(None);
    let asked = refused.ask(1, 3).await;
    refused.finish(fault()).await;
    refused.finish(fault()).await;
    for each in asked {
        assert!(matches!(
            each.await.unwrap().err(),
            Some(UpstreamError::Connect(_))
        ));
    }
    assert_eq!(refused.begun(), 2);
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_stops_nobody_else() {
    let mut stage = Stage::of(None);
    let mut asked = stage.ask(1, 3).await;
    asked.remove(0).abort();
    stage.connected(4, true).await;
    stage.servers_speak().await;
    let (leases, waiting) = served(asked).await;
    assert_eq!((leases.len(), waiting.len(), stage.begun()), (2, 0, 1));
    let slots = |stage: &Stage| {
        let connections = stage.pool.0.lock();
        connections.callers[&Caller::new(Some(1), None)].multiplexed[0].in_use
    };
    assert_eq!(slots(&stage), 2);
    drop(leases);
    assert_eq!(slots(&stage), 0);
}
