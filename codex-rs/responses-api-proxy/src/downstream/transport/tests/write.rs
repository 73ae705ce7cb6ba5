//! Answers: how long their caller may take, whether it is still there, and what a cut one looks like.

use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use std::io::IoSlice;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_that_takes_nothing_of_its_answer_has_to_leave() {
    let mut served = with_request(REQUEST).await;
    let _exchange = served.connection_state.open_exchange(false);
    served.socket.take_nothing(true);
    let begun = Instant::now();
    let written = served.downstream.write(b"answer").await;
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_elapsed(begun, limits::STALLED);
}

#[tokio::test(start_paused = true)]
async fn whatever_a_caller_takes_gives_it_all_of_the_time_again() {
    let mut served = with_request(REQUEST).await;
    let _exchange = served.connection_state.open_exchange(false);
    for _ in 0..3 {
        served.socket.take_nothing(true);
        let socket = served.socket.clone();
        let at_last = async {
            sleep(limits::STALLED - seconds(1)).await;
            socket.take_nothing(false);
        };
        let (written, ()) = tokio::join!(served.downstream.write(b"answer"), at_last);
        assert_eq!(written.unwrap(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_taken_soon_or_not_at_all() {
    let mut served = with_request(REQUEST).await;
    let exchange = served.connection_state.open_exchange(false);
    exchange.connection_state().note_refusal();
    served.socket.take_nothing(true);
    let begun = Instant::now();
    let pieces = [IoSlice::new(b"no"), IoSlice::new(b"thing")];
    let downstream = &mut served.downstream;
    let written =
        std::future::poll_fn(|cx| Pin::new(&mut *downstream).poll_write_vectored(cx, &pieces));
    assert_eq!(written.await.unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_elapsed(begun, limits::REFUSAL_STALLED);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_ends_with_the_connection_is_a_reset_until_it_is_whole() {
    let mut served = with_request(REQUEST).await;
    let _exchange = served.connection_state.open_exchange(true);
    served.downstream.write_all(b"one").await.unwrap();
    served.downstream.write_all(b"two").await.unwrap();
    assert_eq!(served.socket.calls(), [Call::CloseByReset]);
    served.downstream.shutdown().await.unwrap();
    assert_eq!(
        served.socket.calls(),
        [Call::CloseByReset, Call::CloseInOrder, Call::ShutDown]
    );
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_cut_stays_a_reset() {
    let mut served = with_request(REQUEST).await;
    let _exchange = served.connection_state.open_exchange(true);
    served.downstream.write_all(b"half").await.unwrap();
    let socket = served.socket.clone();
    drop(served);
    assert_eq!(socket.calls(), [Call::CloseByReset]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_length_is_never_a_reset() {
    let mut served = with_request(REQUEST).await;
    served.answer().await;
    served.downstream.shutdown().await.unwrap();
    assert_eq!(served.socket.calls(), [Call::ShutDown]);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_flush_is_told() {
    let mut served = with_request(REQUEST).await;
    let exchange = served.connection_state.open_exchange(false);
    let mark = served.connection_state.mark();
    assert!(
        exchange
            .connection_state()
            .poll_flushed_since(mark)
            .is_pending()
    );
    served.downstream.flush().await.unwrap();
    assert!(
        exchange
            .connection_state()
            .poll_flushed_since(mark)
            .is_ready()
    );
    // The exchange is open, however much of its answer is out.
    assert!(!served.is_idle());
}

/// Whether a flush wakes the task that flushes.
fn wakes_itself(served: &mut Served) -> bool {
    struct Woken(AtomicBool);
    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let woken = Arc::new(Woken(AtomicBool::new(false)));
    let waker = Waker::from(Arc::clone(&woken));
    let flush = Pin::new(&mut served.downstream).poll_flush(&mut Context::from_waker(&waker));
    assert!(matches!(flush, Poll::Ready(Ok(()))));
    woken.0.load(Ordering::Relaxed)
}

/// hyper does not read again by itself once an answer is written.
#[tokio::test(start_paused = true)]
async fn what_was_buffered_behind_an_answer_is_read_at_once() {
    for (behind, wakes) in [(&b""[..], false), (REQUEST, true), (b"POST ", true)] {
        let mut served = with_request(&[REQUEST, behind].concat()).await;
        let exchange = served.connection_state.open_exchange(false);
        assert!(!wakes_itself(&mut served));
        drop(exchange);
        assert_eq!(wakes_itself(&mut served), wakes);
        assert!(!wakes_itself(&mut served));
    }
}

/// Polls the connection as hyper does while nobody takes a body: it flushes whenever it is woken.
async fn flush_for(served: &mut Served, limit: Duration) -> Option<io::Error> {
    let flushes =
        std::future::poll_fn(|cx| match Pin::new(&mut served.downstream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(error),
            _ => Poll::Pending,
        });
    timeout(limit, flushes).await.ok()
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_while_nobody_reads_is_noticed() {
    let mut served = with_request(REQUEST).await;
    let _exchange = served.connection_state.open_exchange(false);
    assert!(flush_for(&mut served, seconds(1)).await.is_none());
    let looks = served.socket.looks();
    assert!((19..=20).contains(&looks), "{looks}");
    served.socket.leave();
    let begun = Instant::now();
    let error = flush_for(&mut served, seconds(1)).await.unwrap();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    assert!(begun.elapsed() <= caller_watch::INTERVAL + Duration::from_millis(1));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_looked_for_while_hyper_reads_or_nothing_is_answered() {
    let mut served = with_request(REQUEST).await;
    let exchange = served.connection_state.open_exchange(false);
    served.read_nothing().await;
    assert!(flush_for(&mut served, seconds(1)).await.is_none());
    assert_eq!(served.socket.looks(), 0);
    drop(exchange);
    assert!(flush_for(&mut served, seconds(1)).await.is_none());
    assert_eq!(served.socket.looks(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_request_is_looked_after() {
    let mut served = with_request(REQUEST).await;
    for answered in 0..3 {
        assert!(flush_for(&mut served, seconds(1)).await.is_none());
        assert!(served.socket.looks() >= 19 * (answered + 1));
        served.answer().await;
        served.socket.send(REQUEST);
        assert_eq!(served.read().await.unwrap(), REQUEST);
    }
    served.socket.leave();
    assert!(flush_for(&mut served, seconds(1)).await.is_some());
}
