//! How a connection ends, and who is waited for.

use super::*;

/// Shuts down as hyper does, and says how long that took.
async fn shut_down(served: &mut Served) -> Duration {
    let begun = Instant::now();
    served.downstream.shutdown().await.unwrap();
    begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_sends_nothing_more_is_not_waited_for() {
    let mut served = with_request(REQUEST).await;
    served.answer().await;
    assert_eq!(shut_down(&mut served).await, seconds(0));
    assert_eq!(served.socket.calls(), [Call::ShutDown]);
    // Once is enough, and nothing is read any more.
    assert_eq!(shut_down(&mut served).await, seconds(0));
    assert_eq!(served.socket.calls(), [Call::ShutDown]);
    served.socket.send(REQUEST);
    assert!(served.read().await.unwrap().is_empty());
}

const UNFINISHED: &[u8] =
    b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nand";

#[tokio::test(start_paused = true)]
async fn a_caller_that_is_still_sending_is_waited_for() {
    let mut served = with_request(UNFINISHED).await;
    served.answer().await;
    let socket = served.socket.clone();
    let sends = async {
        for _ in 0..5 {
            socket.send(&[b'x'; 10_000]);
            sleep(seconds(1)).await;
        }
    };
    let (took, ()) = tokio::join!(shut_down(&mut served), sends);
    assert_about(took, state::LINGER);
    assert_eq!(served.socket.calls(), [Call::ShutDown]);
    assert!(served.read().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn until_it_has_seen_the_end() {
    let mut served = with_request(UNFINISHED).await;
    served.answer().await;
    let socket = served.socket.clone();
    let sees = async {
        sleep(seconds(1)).await;
        socket.end();
    };
    let (took, ()) = tokio::join!(shut_down(&mut served), sees);
    assert_about(took, seconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_came_too_late_is_waited_for() {
    let mut served = with_request(REQUEST).await;
    served.answer().await;
    assert!(served.read().await.unwrap().is_empty());
    let took = shut_down(&mut served).await;
    assert_about(took, state::LINGER);
}

/// The caller has not read what it got before, and there is no room for what it gets now.
#[tokio::test(start_paused = true)]
async fn the_final_response_does_not_wait_for_ever() {
    let mut served = served();
    served.socket.take_nothing(true);
    served.socket.send(b"GET / HTTP/1.1\n");
    let begun = Instant::now();
    assert!(!served.downstream.receive().await);
    assert_elapsed(begun, limits::REFUSAL_STALLED);
    assert!(served.socket.calls().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_flush_at_the_end_is_one_too() {
    let mut served = with_request(UNFINISHED).await;
    served.answer().await;
    assert!(once(shut_down(&mut served)).await.is_pending());
    let mark = served.connection_state.mark();
    served.downstream.flush().await.unwrap();
    assert!(served.connection_state.poll_flushed_since(mark).is_ready());
    assert_eq!(served.socket.looks(), 0);
}
