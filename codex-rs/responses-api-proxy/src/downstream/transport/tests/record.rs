//! The records of requests that hyper never had answered.

use super::*;
use crate::observe::outcome::Outcome;

fn outcomes(served: Served) -> Vec<Outcome> {
    let finished = Arc::clone(&served.finished);
    drop(served);
    finished.take().into_iter().map(|one| one.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn a_head_that_hyper_had_and_did_not_have_answered_has_a_record() {
    let served = with_request(REQUEST).await;
    assert_eq!(outcomes(served), [Outcome::CallerLeft]);
    let mut served = with_request(REQUEST).await;
    served.answer().await;
    // That one has a record by whoever answers it.
    assert_eq!(outcomes(served), []);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_cannot_be_read_has_a_record_and_one_that_comes_too_late_for_its_connection() {
    let mut served = served();
    served
        .socket
        .send(b"POST /v1/responses HTTP/1.1\nhost: localhost\n\n");
    assert!(!once(served.downstream.receive()).await.is_ready());
    let refused = outcomes(served);
    assert!(
        matches!(
            refused[..],
            [Outcome::Refused {
                code: "bad_request",
                ..
            }]
        ),
        "{refused:?}"
    );

    let mut served = super::served();
    served.socket.send(REQUEST);
    assert!(served.downstream.receive().await);
    served.connection_state.become_idle(1);
    let since = served.connection_state.idle_since().unwrap();
    assert!(served.connection_state.evict(since));
    assert!(served.read().await.is_err());
    assert_eq!(outcomes(served), [Outcome::Evicted]);
}
