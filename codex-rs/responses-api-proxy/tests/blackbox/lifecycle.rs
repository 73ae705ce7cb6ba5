//! The beginning and the end: the ready line, draining, signals, and output that is closed or not read.

use codex_test_support::{
    End, Gate, MockUpstream, Proxy, RefusedPort, Reply, Stdin, TEST_KEY, assert_openai_error,
};

use crate::{PROXY, RESPONSES, ask, begin, in_front_of};

/// The numbers of signal(7) that these tests send.
pub(crate) fn signal(name: &str) -> i32 {
    match name {
        "HUP" => 1,
        "INT" => 2,
        "KILL" => 9,
        "TERM" => 15,
        "CONT" => 18,
        "STOP" => 19,
        other => panic!("no number for SIG{other}"),
    }
}

#[test]
fn the_ready_line_is_first_and_stdout_stays_empty() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    // That it is the first line is checked by `start`.
    let proxy = in_front_of(&upstream).start();
    assert!(proxy.port() > 0);
    proxy.wait_for_stderr("key: ");
    assert_eq!(proxy.stdout_so_far(), "");
}

#[test]
fn shutdown_answers_then_drains_then_exits_0() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let mut proxy = in_front_of(&upstream).http_shutdown().server_info().start();
    let mut streaming = begin(&proxy);
    streaming.wait_for_body("data: 1");
    let answer = proxy.client().get("/shutdown").read_answer();
    assert_eq!((answer.status, answer.end), (200, End::Clean));
    proxy.wait_for_stderr("shutting down");
    let refused = ask(&proxy);
    assert_openai_error(&refused, 503, "shutting_down");
    assert!(proxy.is_running());
    gate.release();
    streaming.wait_for_body("data: 2");
    assert_eq!(streaming.read_body_some(), None);
    assert_eq!(streaming.end(), Some(End::Clean));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!proxy.info_file().exists());
}

#[test]
fn a_second_shutdown_exits_now_and_cuts_honestly() {
    let upstream = MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&Gate::new()));
    let mut proxy = in_front_of(&upstream)
        .http_shutdown()
        .args(["--drain-timeout", "1h"])
        .start();
    let mut streaming = begin(&proxy);
    for _ in 0..2 {
        assert_eq!(proxy.client().get("/shutdown").read_answer().status, 200);
    }
    assert_eq!(
        streaming.read_body_some().as_deref(),
        Some(&b"data: 1\n\n"[..])
    );
    assert_eq!(streaming.read_body_some(), None);
    assert_eq!(streaming.end(), Some(End::Cut));
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn term_and_int_drain_and_exit_0() {
    for name in ["TERM", "INT"] {
        let gate = Gate::new();
        let upstream = MockUpstream::h1(
            Reply::event_stream()
                .data("data: 1\n\n")
                .hold(&gate)
                .data("data: 2\n\n"),
        );
        let mut proxy = in_front_of(&upstream).start();
        let mut streaming = begin(&proxy);
        let _idle = proxy.client();
        proxy.signal(signal(name));
        proxy.wait_for_stderr("shutting down");
        gate.release();
        streaming.wait_for_body("data: 2");
        assert_eq!(streaming.read_body_some(), None);
        assert_eq!(streaming.end(), Some(End::Clean));
        assert_eq!(proxy.wait_exit().code(), Some(0));
    }
}

#[test]
fn a_second_signal_or_the_drain_timeout_cuts() {
    let held = || MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&Gate::new()));
    for (drain_timeout, second, code) in [
        ("1h", Some("TERM"), 143),
        ("1h", Some("INT"), 130),
        ("100ms", None, 0),
    ] {
        let upstream = held();
        let mut proxy = in_front_of(&upstream)
            .args(["--drain-timeout", drain_timeout])
            .start();
        let mut streaming = begin(&proxy);
        proxy.signal(signal("TERM"));
        proxy.wait_for_stderr("shutting down");
        if let Some(second) = second {
            proxy.signal(signal(second));
        }
        assert_eq!(proxy.wait_exit().code(), Some(code));
        assert!(
            proxy
                .stderr_so_far()
                .contains("cut off without having finished: 1"),
            "{}",
            proxy.stderr_so_far()
        );
        while streaming.read_body_some().is_some() {}
        assert_eq!(streaming.end(), Some(End::Cut));
    }
}

#[test]
fn an_idle_proxy_exits_at_once() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream)
        .args(["--drain-timeout", "1h"])
        .start();
    let mut idle = proxy.client();
    assert_eq!(idle.post(RESPONSES, &[], "{}").read_answer().status, 200);
    let _never_spoke = proxy.client();
    proxy.signal(signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

/// Also where there is nothing that could be, and whoever started it had it ignore the signal, or not.
#[test]
fn hangup_has_things_read_again_and_ends_nothing() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for before in [
        ["env", "--default-signal=HUP"],
        ["env", "--ignore-signal=HUP"],
    ] {
        let mut proxy = in_front_of(&upstream).under(before).start();
        proxy.signal(signal("HUP"));
        proxy.wait_for_stderr("SIGHUP: there is nothing to read again");
        assert_eq!(ask(&proxy).status, 200);
        proxy.signal(signal("TERM"));
        assert_eq!(proxy.wait_exit().code(), Some(0));
    }
    // Before it is ready, too.
    let mut early = in_front_of(&upstream)
        .under(["env", "--default-signal=HUP"])
        .stdin(Stdin::BytesThenOpen(Vec::new()))
        .spawn();
    early.wait_for_stderr("waiting for the API key");
    early.signal(signal("HUP"));
    early.write_stdin(format!("{TEST_KEY}\n"));
    early.wait_for_stderr("SIGHUP: there is nothing to read again");
    let proxy = in_front_of(&upstream).args(["--access-log", "log"]).start();
    proxy.signal(signal("HUP"));
    proxy.wait_for_stderr("logs opened again: --access-log\n");
    assert_eq!(ask(&proxy).status, 200);
}

/// As a shell without job control has what it starts in the background, and nohup(1) what it runs.
#[test]
fn a_signal_that_was_ignored_before_is_ignored_on() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for (ignored, names) in [
        ("INT", &["INT"][..]),
        ("INT QUIT", &["INT"]),
        ("HUP", &["HUP"]),
        ("INT TERM HUP", &["INT", "TERM", "HUP"]),
    ] {
        let trap = format!("trap '' {ignored}; exec \"$0\" \"$@\"");
        let mut proxy = in_front_of(&upstream)
            .http_shutdown()
            .under(["sh", "-c", &trap])
            .start();
        for name in names {
            proxy.signal(signal(name));
            // A signal that is handled would have been by the time that this is answered.
            assert_eq!(ask(&proxy).status, 200, "SIG{name}");
        }
        if ignored.contains("TERM") {
            assert_eq!(proxy.client().get("/shutdown").read_answer().status, 200);
        } else {
            // The others are not in the way of it.
            proxy.signal(signal("TERM"));
        }
        assert_eq!(proxy.wait_exit().code(), Some(0), "{ignored}");
    }
}

#[test]
fn closed_output_does_not_stop_it() {
    let upstream = MockUpstream::h1(vec![Reply::close_before_head(), Reply::responses("hi")]);
    let dir = tempfile::tempdir().unwrap();
    let info = dir.path().join("info.json");
    // A writer whose reader is gone, as after the end of a CI step.
    let script = format!(
        "exec {PROXY} --server-info {} --upstream-url {} >&- 2>&-",
        info.display(),
        upstream.url()
    );
    let _proxy = Proxy::builder("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdin::Bytes(TEST_KEY.into()))
        .spawn();
    let port = loop {
        // There is no output to wait on; that is the point.
        if let Ok(text) = std::fs::read_to_string(&info)
            && let Ok(info) = serde_json::from_str::<serde_json::Value>(&text)
        {
            break u16::try_from(info["port"].as_u64().unwrap()).unwrap();
        }
        std::thread::yield_now();
    };
    for status in [502, 200] {
        let mut client = codex_test_support::Client::connect(([127, 0, 0, 1], port).into());
        assert_eq!(
            client.post(RESPONSES, &[], "{}").read_answer().status,
            status
        );
    }
}

#[test]
fn output_that_nobody_reads_does_not_stop_it() {
    let upstream = RefusedPort::new();
    // Standard error into a FIFO whose one reader never reads past the first line.
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("stderr");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let script = format!(
        "exec {PROXY} --upstream-url {} --server-info {} 2> {}",
        upstream.url(),
        dir.path().join("info.json").display(),
        fifo.display()
    );
    let mut proxy = Proxy::builder("/bin/sh")
        .args(["-c", &script])
        .stdin(Stdin::Bytes(TEST_KEY.into()))
        .spawn();
    let mut unread = std::io::BufReader::new(std::fs::File::open(&fifo).unwrap());
    let mut ready = String::new();
    std::io::BufRead::read_line(&mut unread, &mut ready).unwrap();
    let port = ready
        .trim_end()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let mut client = codex_test_support::Client::connect(([127, 0, 0, 1], port).into());
    // Some 100 bytes a fault, and a FIFO holds 64 KiB.
    for _ in 0..1500 {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 502);
    }
    proxy.signal(signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn nothing_is_left_behind_and_nothing_extra_is_open() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream).env("HOME", "/nonexistent").start();
    assert_eq!(ask(&proxy).status, 200);
    proxy.signal(signal("TERM"));
    proxy.wait_exit();
    assert_eq!(std::fs::read_dir(proxy.tempdir()).unwrap().count(), 0);
}
