//! Bytes that two parties could read in two ways never get to be two requests.

use codex_test_support::{End, Gate, MockUpstream, Reply, assert_openai_error};

use crate::{RESPONSES, in_front_of};

fn post(lines: &str) -> Vec<u8> {
    format!("POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").into_bytes()
}

#[test]
fn a_head_that_cannot_be_read_in_one_way_is_answered_400_and_closed() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    let smuggled = b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n";
    for head in [
        post("Content-Length: 4\r\nTransfer-Encoding: chunked\r\n"),
        post("Content-Length: 4\r\nContent-Length: 5\r\n"),
        post("Content-Length: 2, 2\r\n"),
        post("Content-Length: abc\r\n"),
        post("Content-Length: -1\r\n"),
        post("Content-Length: 0x2\r\n"),
        post("Transfer-Encoding: gzip, chunked\r\n"),
        post("Transfer-Encoding : chunked\r\n"),
        post("X-A : 1\r\n"),
        post("X-A: 1\r\n folded\r\n"),
        post("X-A: a\0b\r\n"),
        post("X-A: gr\u{fc}n\r\n"),
        post("Host: y\r\n"),
        format!("POST {RESPONSES} HTTP/1.1\r\n\r\n").into_bytes(),
        format!("POST {RESPONSES} HTTP/1.1\nHost: x\n\n").into_bytes(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        b"hello\r\n\r\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ] {
        let mut client = proxy.client();
        client.send([&head[..], smuggled].concat());
        let answer = client.read_answer();
        assert_openai_error(&answer, 400, "bad_request");
        assert_eq!(answer.header("connection"), Some("close"));
        let (rest, _) = client.read_to_close();
        assert_eq!(
            rest,
            b"",
            "an answer to what came after {:?}",
            String::from_utf8_lossy(&head)
        );
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_bad_head_behind_a_good_request_does_not_change_its_answer() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    client.send("nonsense\n");
    assert_openai_error(&client.read_answer(), 400, "bad_request");
}

#[test]
fn a_bad_head_in_the_same_packet_as_a_good_request_waits_for_its_answer() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let proxy = in_front_of(&upstream).start();
    for bad in ["nonsense\n", "\x16", "GET / HTTP/1.1\r\nX : 1\r\n\r\n"] {
        let mut client = proxy.client();
        client.send([&post("Content-Length: 2\r\n")[..], b"{}", bad.as_bytes()].concat());
        client.read_head();
        client.wait_for_body("data: 1");
        gate.release();
        client.wait_for_body("data: 2");
        assert_eq!(client.read_body_some(), None);
        assert_eq!(client.end(), Some(End::Clean));
        assert_openai_error(&client.read_answer(), 400, "bad_request");
    }
}

#[test]
fn a_disconnect_behind_a_pipelined_request_is_noticed() {
    let upstream = MockUpstream::h1(Reply::silence());
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    let request = [&post("Content-Length: 2\r\n")[..], b"{}"].concat();
    client.send([&request[..], &request[..], b"POST"].concat());
    upstream.wait_for_complete(0);
    client.close();
    upstream.wait_for_cancel(0);
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn an_upgrade_field_changes_nothing_about_a_connection() {
    let upstream = MockUpstream::h1(Reply::made(|request| {
        Reply::bytes(200, "text/plain", request.text())
    }));
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    let headers = [
        ("connection", "Upgrade, HTTP2-Settings"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQAAP__"),
    ];
    for body in ["one", "two"] {
        assert_eq!(
            client.post(RESPONSES, &headers, body).read_answer().text(),
            body
        );
    }
    client.send("nonsense\n");
    assert_openai_error(&client.read_answer(), 400, "bad_request");
    let sent = upstream.wait_for_requests(2);
    assert!(sent.iter().all(|request| {
        ["upgrade", "upgrad-", "http2-settings"]
            .iter()
            .all(|name| request.header(name).is_none())
    }));
}

#[test]
fn a_refusal_reaches_a_caller_that_is_still_sending_whatever_it_asked_for() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).args(["--max-body", "1KiB"]).start();
    for headers in [&[][..], &[("connection", "upgrade"), ("upgrade", "h2c")]] {
        let answer = proxy
            .client()
            .post(RESPONSES, headers, vec![b'x'; 8 << 20])
            .read_answer();
        assert_openai_error(&answer, 413, "body_too_large");
    }
}

#[test]
fn an_upload_that_breaks_off_is_never_completed() {
    for upstream in [
        MockUpstream::h1(Reply::responses("never")),
        MockUpstream::tls_h1(Reply::responses("never")),
        MockUpstream::h2(Reply::responses("never")),
    ] {
        let proxy = in_front_of(&upstream).start();
        let mut client = proxy.client();
        client.post(RESPONSES, &[("content-length", "2000")], vec![b'x'; 1500]);
        upstream.wait_for_body_len(0, 1500);
        client.close();
        assert!(!upstream.wait_for_cancel(0).complete);

        let mut client = proxy.client();
        client.post(RESPONSES, &[("transfer-encoding", "chunked")], "5dc\r\n");
        client.send(vec![b'x'; 1500]).send("\r\n");
        upstream.wait_for_body_len(1, 1500);
        client.shutdown_write();
        assert!(!upstream.wait_for_cancel(1).complete);
    }
}

#[test]
fn a_malformed_chunk_ends_the_upload_uncompleted() {
    let upstream = MockUpstream::h1(Reply::responses("never"));
    let proxy = in_front_of(&upstream).start();
    for bad in [
        "xyz\r\n",
        "-1\r\n",
        "5 5\r\nhello",
        "FFFFFFFFFFFFFFFFF\r\n",
        "5\r\nhelloworld\r\n0\r\n\r\n",
    ] {
        let mut client = proxy.client();
        client.post(RESPONSES, &[("transfer-encoding", "chunked")], bad);
        if let Some(answer) = client.try_read_answer() {
            assert_openai_error(&answer, 400, "body_cut_short");
        }
    }
    assert!(upstream.requests().iter().all(|request| !request.complete));
}

#[test]
fn expect_100_continue_gets_a_clean_100_and_is_not_forwarded() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let mut client = proxy.client();
    client.send(post("Content-Length: 2\r\nExpect: 100-continue\r\n"));
    let (interim, rest) = (&mut client, "{}");
    interim.send(rest);
    let answer = interim.read_answer();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.interim.len(), 1);
    assert_eq!(
        (answer.interim[0].status, answer.interim[0].headers.len()),
        (100, 0)
    );
    assert_eq!(upstream.wait_for_complete(0).header("expect"), None);
}

#[test]
fn large_heads_pass_and_larger_ones_get_431() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    // What is not forwarded may be long.
    let twenty_kb = format!("Cookie: {}\r\nContent-Length: 2\r\n", "a".repeat(20_000));
    let mut client = proxy.client();
    assert_eq!(
        client
            .send(post(&twenty_kb))
            .send("{}")
            .read_answer()
            .status,
        200
    );
    let two_hundred: String = (0..200)
        .map(|n| format!("X-Forwarded-{n}: {n}\r\n"))
        .collect();
    let mut client = proxy.client();
    let head = post(&format!("{two_hundred}Content-Length: 2\r\n"));
    assert_eq!(client.send(head).send("{}").read_answer().status, 200);
    upstream.wait_for_requests(2);

    let too_long = format!("X-Large: {}\r\n", "a".repeat(65_536));
    let answer = proxy.client().send(post(&too_long)).read_answer();
    assert_openai_error(&answer, 431, "headers_too_large");
    let endless = proxy.client().send(vec![b'a'; 70_000]).read_answer();
    assert_openai_error(&endless, 431, "headers_too_large");
    let too_many: String = (0..300).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let answer = proxy.client().send(post(&too_many)).read_answer();
    assert_openai_error(&answer, 431, "headers_too_large");
}
