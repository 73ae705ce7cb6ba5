//! Those who ask nothing, or something else, cost nobody anything; and nothing that is told has the key in it.

use codex_test_support::{Gate, MockUpstream, Reply, TEST_KEY};

use super::{Line, Socket, begin_with, streaming};
use crate::{ask, in_front_of};

#[test]
fn those_that_say_nothing_or_read_nothing_keep_nobody_from_asking() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    let proxy = socket.on(in_front_of(&upstream)).start();
    let mut held: Vec<Line> = Vec::new();
    for number in 0..100 {
        let mut line = socket.connect();
        match number % 4 {
            0 => {}
            1 => line.say("{\"v\":1,"),
            2 => line.say(&"{\"v\":1,\"ask\":\"status\"}\n".repeat(500)),
            _ => line.say(&"x".repeat(10_000)),
        }
        held.push(line);
    }
    assert_eq!(socket.status()["state"], "serving");
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn what_is_no_question_is_answered_once_and_closed() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    let mut proxy = socket.on(in_front_of(&upstream)).start();
    let long = format!("{{\"v\":1,\"ask\":\"{}\"}}\n", "s".repeat(2_000));
    for wrong in ["GET / HTTP/1.1\r\n\r\n", "\n", "null\n", "\u{0}\n", &long] {
        let mut line = socket.connect();
        line.say(wrong);
        let answer = line.answer().unwrap();
        assert_eq!(answer["error"]["code"], "malformed", "{wrong:?}");
        assert!(line.answer().is_none());
    }
    // A question of a later version is not taken for another one.
    let mut line = socket.connect();
    let answer = line.ask(r#"{"v":2,"ask":"reload"}"#);
    assert_eq!(answer["error"]["code"], "unknown_question");
    let answer = line.ask(r#"{"v":2,"ask":"status","since":1}"#);
    assert_eq!(answer["status"]["pid"], proxy.pid());
    assert!(proxy.is_running());
}

#[test]
fn several_questions_at_once_are_answered_in_their_order() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let socket = Socket::new();
    let _proxy = socket.on(in_front_of(&upstream)).start();
    let mut line = socket.connect();
    line.say("{\"v\":1,\"ask\":\"status\"}\n{\"v\":1,\"ask\":\"reload\"}\n{\"v\":1,");
    line.say("\"ask\":\"status\",\"streams\":true}\n");
    assert!(line.answer().unwrap()["status"]["streams"].is_null());
    assert!(line.answer().unwrap()["error"].is_object());
    assert!(line.answer().unwrap()["status"]["streams"].is_array());
}

#[test]
fn the_key_is_in_nothing_that_is_told() {
    let gate = Gate::new();
    let upstream = streaming(&gate);
    let socket = Socket::new();
    let proxy = socket.on(in_front_of(&upstream)).start();
    // Whoever asks for it as a model knows it; whoever looks on does not.
    let _client = begin_with(&proxy, TEST_KEY);
    let status = socket.wait_for("a model", |status| {
        status["streams"][0]["model"].is_string()
    });
    let stars = "*".repeat(TEST_KEY.len());
    assert_eq!(status["streams"][0]["model"], stars);

    let location = format!("https://{TEST_KEY}.example/");
    let upstream = MockUpstream::h1(Reply::redirect(307, &location));
    let socket = Socket::new();
    let proxy = socket.on(in_front_of(&upstream)).start();
    assert_eq!(ask(&proxy).status, 502);
    let status = socket.wait_for("a fault", |status| {
        status["upstream"]["last_fault"].is_object()
    });
    let cause = status["upstream"]["last_fault"]["cause"].as_str().unwrap();
    assert!(cause.contains("***"), "{cause}");
    socket.run("status", &[]);
}
