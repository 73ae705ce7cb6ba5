//! What goes wrong inside the harness reaches the test.

use std::io::{Read, Write};

use codex_test_support::{Client, MockUpstream, Reply, Step};

use crate::{PATH, ask};

#[test]
fn a_panic_of_a_handler_reaches_the_test() {
    let upstream = MockUpstream::builder()
        .handler(|_| panic!("as planned"))
        .start();
    assert_eq!(ask(&upstream).try_read_answer(), None);
    let waiting = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        upstream.wait_for_answered(0)
    }));
    let dropping = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(upstream)));
    for outcome in [waiting.map(drop), dropping] {
        let panic = outcome.expect_err("a panic");
        assert!(
            panic
                .downcast_ref::<String>()
                .expect("text")
                .contains("as planned")
        );
    }
}

#[test]
fn a_leaked_key_panics_the_client() {
    let key = codex_test_support::TEST_KEY;
    let (one, two) = key.split_at(20);
    let reply = Reply::event_stream()
        .data(one.to_owned())
        .step(Step::Data(two.to_owned().into()));
    let upstream = MockUpstream::h1(reply);
    let mut client = Client::connect(upstream.addr());
    client.post(PATH, &[], "{}");
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.read_answer()));
    assert!(
        outcome
            .expect_err("a leak")
            .downcast_ref::<String>()
            .expect("text")
            .contains("LEAKED")
    );
}

#[test]
fn dropping_the_mock_ends_its_connections() {
    let upstream = MockUpstream::h1(Reply::silence());
    let mut stream = std::net::TcpStream::connect(upstream.addr()).expect("connected");
    stream
        .write_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
        .expect("sent");
    upstream.wait_for_complete(0);
    drop(upstream);
    assert_eq!(stream.read(&mut [0]).expect("an end"), 0);
}
