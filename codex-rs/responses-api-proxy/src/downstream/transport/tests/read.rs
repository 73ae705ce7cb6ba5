//! What hyper reads, and how long is waited for it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_caller_that_sends_nothing_is_left_in_silence() {
    let mut served = served();
    let begun = Instant::now();
    assert!(!served.downstream.receive().await);
    assert_elapsed(begun, HEADER_TIMEOUT);
    assert_eq!(
        (served.socket.taken(), served.socket.calls()),
        (String::new(), vec![])
    );
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_leaves_before_its_first_head_is_not_waited_for() {
    let mut served = served();
    served.socket.send(b"POST ");
    served.socket.end();
    let begun = Instant::now();
    assert!(!served.downstream.receive().await);
    assert_elapsed(begun, seconds(0));
}

#[tokio::test(start_paused = true)]
async fn a_first_head_has_its_time_from_the_connection_on() {
    let mut served = served();
    let socket = served.socket.clone();
    let begun = Instant::now();
    let slowly = async {
        for piece in ["POST ", "/v1/", "responses"] {
            sleep(seconds(3)).await;
            socket.send(piece.as_bytes());
        }
        sleep(seconds(2)).await;
        socket.end();
    };
    let (received, ()) = tokio::join!(served.downstream.receive(), slowly);
    assert!(!received);
    // Answered after 10 seconds; then the caller was waited for.
    assert_elapsed(begun, seconds(11));
    assert!(served.socket.taken().starts_with("HTTP/1.1 408 "));
    assert_eq!(served.socket.calls(), [Call::ShutDown]);
}

#[tokio::test(start_paused = true)]
async fn a_head_that_comes_bit_by_bit_and_in_time_is_passed_on_whole() {
    let mut served = served();
    let socket = served.socket.clone();
    let slowly = async {
        for piece in REQUEST.chunks(20) {
            sleep(seconds(2)).await;
            socket.send(piece);
        }
    };
    let (received, ()) = tokio::join!(served.downstream.receive(), slowly);
    assert!(received);
    assert!(served.is_idle(), "busy before hyper has it");
    assert_eq!(served.read().await.unwrap(), REQUEST);
    assert!(!served.is_idle() && !served.limit.evict_one());
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_was_found_may_be_evicted() {
    let mut served = served();
    assert!(!served.is_idle());
    assert!(once(served.downstream.receive()).await.is_pending());
    assert!(served.is_idle());
}

/// Its slot belongs to somebody else, whatever has come on it meanwhile.
#[tokio::test(start_paused = true)]
async fn nothing_is_read_from_a_connection_that_was_evicted() {
    for is_buffered in [true, false] {
        let mut served = served();
        served.connection_state.become_idle(served.limit.tick());
        assert!(served.limit.evict_one());
        served.socket.send(REQUEST);
        if is_buffered {
            assert!(served.downstream.receive().await);
        }
        let mut bytes = Vec::new();
        let read = served.downstream.read_buf(&mut bytes).await;
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
        assert!(bytes.is_empty(), "{} bytes passed", bytes.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_is_refused_at_the_first_byte_that_decides_it() {
    let mut served = served();
    served.socket.send(b"GET / HTTP/1.1\n");
    let begun = Instant::now();
    assert!(!served.downstream.receive().await);
    assert_elapsed(begun, state::LINGER);
    assert!(served.socket.taken().starts_with("HTTP/1.1 400 "));
}

#[tokio::test(start_paused = true)]
async fn a_long_head_is_refused_where_others_buffer_too_much() {
    for (length, is_refused) in [(SMALL_HEAD, false), (SMALL_HEAD + 1, true)] {
        let mut served = served();
        let other = Arc::new(ConnectionState::default());
        let mut other = served.limit.admit(&other, None).unwrap();
        other.buffer(4 * 1024 * 1024);
        let mut head = REQUEST[..REQUEST.len() - 2].to_vec();
        head.extend(b"X: ");
        head.resize(length, b'x');
        served.socket.send(&head);
        let received = timeout(seconds(5), served.downstream.receive()).await;
        assert_eq!(received.ok(), is_refused.then_some(false));
        assert_eq!(
            served.socket.taken().starts_with("HTTP/1.1 503 "),
            is_refused
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_further_request_is_waited_for_and_then_the_end_is_read() {
    let mut served = with_request(REQUEST).await;
    served.answer().await;
    assert!(served.is_idle());
    let begun = Instant::now();
    assert!(served.read().await.unwrap().is_empty());
    assert_elapsed(begun, limits::IDLE);
    assert_eq!(served.socket.taken(), "answer");
    // It stays so, whatever comes.
    served.socket.send(REQUEST);
    assert!(served.read().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_further_head_has_its_time_from_its_first_byte_on() {
    let mut served = with_request(REQUEST).await;
    served.answer().await;
    let begun = Instant::now();
    let socket = served.socket.clone();
    let slowly = async {
        for piece in ["POST ", "/v1/"] {
            sleep(seconds(200)).await;
            socket.send(piece.as_bytes());
        }
    };
    let (read, ()) = tokio::join!(
        async {
            let read = served.read().await;
            assert_elapsed(begun, seconds(210));
            read
        },
        slowly
    );
    assert!(read.unwrap().is_empty());
    served.downstream.shutdown().await.unwrap();
    assert!(served.socket.taken().starts_with("answerHTTP/1.1 408 "));
}

#[tokio::test(start_paused = true)]
async fn a_bad_head_behind_an_answer_is_answered_after_it() {
    let mut served = with_request(&[REQUEST, b"GET / HTTP/1.1\n"].concat()).await;
    served.read_nothing().await;
    served.answer().await;
    assert!(served.read().await.unwrap().is_empty());
    served.downstream.shutdown().await.unwrap();
    assert!(served.socket.taken().starts_with("answerHTTP/1.1 400 "));
}

#[tokio::test(start_paused = true)]
async fn a_head_behind_a_request_waits_until_that_is_answered() {
    let mut served = with_request(&[REQUEST, REQUEST].concat()).await;
    served.read_nothing().await;
    served.answer().await;
    // A request may be there: nobody has looked.
    assert!(!served.is_idle());
    assert_eq!(served.read().await.unwrap(), REQUEST);
    served.answer().await;
    assert!(served.is_idle());
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_an_answer_and_is_not_a_head_yet_may_be_evicted() {
    let mut served = with_request(&[REQUEST, b"POST "].concat()).await;
    served.answer().await;
    assert!(!served.is_idle());
    served.read_nothing().await;
    assert!(served.is_idle());
}

#[tokio::test(start_paused = true)]
async fn too_much_behind_a_request_cuts_the_connection() {
    let mut served = with_request(REQUEST).await;
    served.socket.send(&vec![b'x'; MAX_DISCARDED]);
    served.read_nothing().await;
    served.socket.send(b"x");
    let read = served.read().await;
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test(start_paused = true)]
async fn a_body_passes_a_piece_at_a_time_and_has_no_timeout_here() {
    let head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 50000\r\n\r\n";
    let mut served = with_request(head).await;
    let socket = served.socket.clone();
    let late = async {
        sleep(seconds(1000)).await;
        socket.send(&[b'x'; 50_000]);
    };
    let (read, ()) = tokio::join!(served.read(), late);
    assert_eq!(read.unwrap().len(), usize::try_from(MAX_READ).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_body_in_chunks_passes_in_smaller_pieces_and_ends_the_connection() {
    let head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut served = with_request(head).await;
    let body = format!("2710\r\n{}\r\n0\r\n\r\n", "x".repeat(10_000));
    served.socket.send(body.as_bytes());
    let mut passed = served.read().await.unwrap();
    assert_eq!(passed.len(), usize::try_from(MAX_READ_OF_CHUNKS).unwrap());
    passed.extend(served.read().await.unwrap());
    assert_eq!(passed, body.as_bytes());
    served.read_nothing().await;
    served.answer().await;
    assert!(served.read().await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn chunks_that_hyper_could_read_in_another_way_are_an_error() {
    let head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    let mut served = with_request(head).await;
    served.socket.send(b"x");
    let read = served.read().await;
    assert_eq!(read.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_body_that_was_answered_early_passes_and_is_no_request() {
    let head = b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n";
    let mut served = with_request(head).await;
    served.answer().await;
    assert!(served.is_idle());
    served.socket.send(b"h");
    assert_eq!(served.read().await.unwrap(), b"h");
    assert!(served.is_idle());
    served.socket.send(&[b"i", REQUEST].concat());
    assert_eq!(served.read().await.unwrap(), b"i");
    assert_eq!(served.read().await.unwrap(), REQUEST);
    assert!(!served.is_idle());
}
