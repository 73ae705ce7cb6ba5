//! Requests and answers on the disk: `--dump-dir`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use codex_test_support::{
    CutKind, End, Framing, Gate, MockUpstream, Proxy, ProxyBuilder, Reply, Step, TEST_KEY,
    WAIT_TIMEOUT,
};
use serde_json::{Value, json};

use crate::custody::strictest_sandbox;
use crate::lifecycle::signal;
use crate::{RESPONSES, ask, in_front_of};

/// In the proxy's own directory, all of which the harness searches for the key.
const DUMPS: &str = "dumps";

pub(crate) fn dumping(upstream: &MockUpstream) -> ProxyBuilder {
    in_front_of(upstream)
        .args(["--dump-dir", DUMPS])
        .args(["--sandbox", strictest_sandbox()])
}

pub(crate) fn dir_of(proxy: &Proxy) -> PathBuf {
    proxy.tempdir().join(DUMPS)
}

/// Waits for what nobody tells of.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + WAIT_TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Of the request with this number.
pub(crate) fn find(dir: &Path, number: usize, half: &str) -> Option<PathBuf> {
    let (from, to) = (format!("{number:06}-"), format!("-{half}.json"));
    let name = names(dir)
        .into_iter()
        .find(|name| name.starts_with(&from) && name.ends_with(&to));
    name.map(|name| dir.join(name))
}

#[track_caller]
fn text(dir: &Path, number: usize, half: &str) -> String {
    let path = wait_for(&format!("the {half} of {number}"), || {
        find(dir, number, half)
    });
    fs::read_to_string(path).unwrap()
}

#[track_caller]
pub(crate) fn dump(dir: &Path, number: usize, half: &str) -> Value {
    serde_json::from_str(&text(dir, number, half)).unwrap()
}

pub(crate) fn unfinished(dir: &Path) -> Vec<PathBuf> {
    let names = names(dir).into_iter();
    names
        .filter(|name| name.starts_with('.'))
        .map(|name| dir.join(name))
        .collect()
}

/// What the peer writes of the same exchange, `@openai/codex` 0.171.0, but for names of headers, which come in
/// lower case here, and for what it shows and this does not.
const PLAIN: &str = r#"{
  "status": 200,
  "headers": [
    {
      "name": "content-type",
      "value": "application/json"
    },
    {
      "name": "x-request-id",
      "value": "req_1"
    },
    {
      "name": "set-cookie",
      "value": "[REDACTED]"
    },
    {
      "name": "content-length",
      "value": "41"
    }
  ],
  "body": {
    "id": "resp_1",
    "n": 1.50,
    "list": [
      1,
      {}
    ]
  }
}
"#;

#[test]
fn dumps_have_the_names_and_shapes_of_the_peer() {
    let events = "event: response.created\ndata: {\"type\":\"x\"}\n\n";
    let with_headers = |reply: Reply| {
        reply
            .header("x-request-id", "req_1")
            .header("set-cookie", "a=b")
    };
    let sse = || Reply::new(200).header("content-type", "text/event-stream");
    let upstream = MockUpstream::h1(vec![
        with_headers(Reply::bytes(
            200,
            "application/json",
            "{\"id\":\"resp_1\", \"n\":1.50,  \"list\":[1,{}]}",
        )),
        sse()
            .framing(Framing::Chunked)
            .data(events)
            .data(&b"data: h\xc3\xa9\x01\xff\n\n"[..]),
        Reply::json(400, &json!({"error": {"message": "bad"}})),
        sse()
            .framing(Framing::Chunked)
            .data(events)
            .cut(CutKind::Fin),
        Reply::close_before_head(),
        Reply::new(200),
    ]);
    let proxy = dumping(&upstream).start();
    let dir = dir_of(&proxy);
    proxy.wait_for_stderr(
        "warning: what callers ask and what they are answered is written to dumps (--dump-dir)",
    );
    let bodies = [
        r#"{"model":"gpt-5",  "b":1,"a":2.50,"u":"é"}"#,
        "not json {",
        "",
        " \"text\" ",
        "{}",
        "{}",
    ];
    let headers = [
        ("user-agent", "curl/7.88.1"),
        ("cookie", "CK=1"),
        ("authorization", "Bearer mine"),
    ];
    let mut sent_to = String::new();
    for body in bodies {
        let mut client = proxy.client();
        sent_to = client.local_addr().to_string();
        client.post(RESPONSES, &headers, body).read_answer();
    }
    assert!(!sent_to.is_empty());
    // A request of which nothing went up leaves nothing.
    proxy.client().get("/v1/models").read_answer();

    assert_eq!(text(&dir, 1, "response"), PLAIN);
    let host = proxy.addr().to_string();
    let request = |length: &str, body: Value| {
        json!({
            "method": "POST",
            "url": "/v1/responses",
            "headers": [
                {"name": "host", "value": host},
                {"name": "content-type", "value": "application/json"},
                {"name": "user-agent", "value": "curl/7.88.1"},
                {"name": "cookie", "value": "[REDACTED]"},
                {"name": "authorization", "value": "[REDACTED]"},
                {"name": "content-length", "value": length},
            ],
            "body": body,
        })
    };
    for (number, (length, body)) in [
        ("43", json!({"model": "gpt-5", "b": 1, "a": 2.5, "u": "é"})),
        ("10", json!("not json {")),
        ("0", json!("")),
        ("8", json!("text")),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(dump(&dir, number + 1, "request"), request(length, body));
    }
    let answer = |status: u16, framing: [&str; 2], content: &str, body: Value| {
        json!({
            "status": status,
            "headers": [
                {"name": "content-type", "value": content},
                {"name": framing[0], "value": framing[1]},
            ],
            "body": body,
        })
    };
    let chunked = ["transfer-encoding", "chunked"];
    let whole = format!("{events}data: h\u{e9}\u{1}\u{fffd}\n\n");
    assert_eq!(
        dump(&dir, 2, "response"),
        answer(200, chunked, "text/event-stream", json!(whole))
    );
    assert_eq!(
        dump(&dir, 3, "response"),
        answer(
            400,
            ["content-length", "27"],
            "application/json",
            json!({"error": {"message": "bad"}})
        )
    );
    let mut cut = answer(200, chunked, "text/event-stream", json!(events));
    cut["complete"] = json!(false);
    assert_eq!(dump(&dir, 4, "response"), cut);
    assert_eq!(dump(&dir, 5, "request")["body"], json!({}));
    assert_eq!(dump(&dir, 6, "response")["body"], json!(""));
    // Of the fifth there is no answer, and of the seventh nothing.
    assert_eq!(names(&dir).len(), 11, "{:?}", names(&dir));
    for name in names(&dir) {
        let parts: Vec<&str> = name.splitn(3, '-').collect();
        assert!(parts[0].len() == 6 && parts[1].len() == 13, "{name}");
        let mode = fs::metadata(dir.join(&name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let pair = |half| find(&dir, 1, half).unwrap().file_name().unwrap().to_owned();
    let [request, response] = ["request", "response"].map(|half| pair(half).into_string().unwrap());
    assert_eq!(request.replace("request", "response"), response);
    let mode = fs::metadata(&dir).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn no_secret_header_and_no_echoed_key_gets_into_a_dump() {
    const VALUE: &str = "s3cr3t-value-of-a-header";
    let secret = [
        "authorization",
        "proxy-authorization",
        "cookie",
        "set-cookie",
        "set-cookie2",
        "api-key",
        "x-api-key",
        "x-goog-api-key",
        "x-amz-security-token",
        "x-auth-token",
        "www-authenticate",
        "authentication-info",
        "openai-organization",
        "openai-project",
        "location",
        "x-codex-turn-state",
        "x-anything-else",
    ];
    let value = format!("Bearer {VALUE}");
    // What the caller sends as its token is hidden wherever it is: it is not to hide the others.
    let of = |name| match name {
        "authorization" => "Bearer the-token-of-the-caller",
        _ => &*value,
    };
    let sent: Vec<(&str, &str)> = secret.iter().map(|&name| (name, of(name))).collect();
    let answered = |reply: Reply| {
        let reply = reply
            .header("x-request-id", format!("req {TEST_KEY}"))
            .header("server", TEST_KEY.to_ascii_lowercase())
            .header(&format!("x-{TEST_KEY}"), "1");
        secret
            .iter()
            .fold(reply, |reply, name| reply.header(name, &value))
    };
    let split = format!("data: {TEST_KEY}{TEST_KEY}.\n\n");
    let pieces: Vec<Step> = split
        .as_bytes()
        .chunks(7)
        .map(|piece| Step::Data(piece.to_vec().into()))
        .collect();
    let json = format!("{{\"key\":\"{TEST_KEY}\",\"{TEST_KEY}\":1}}");
    let replies = vec![
        answered(Reply::event_stream().steps(pieces)),
        answered(Reply::bytes(200, "application/json", json)),
    ];
    for upstream in [
        MockUpstream::h1(replies.clone()),
        MockUpstream::h2(replies.clone()),
    ] {
        let proxy = dumping(&upstream).start();
        let dir = dir_of(&proxy);
        for number in 1..=2 {
            let mut client = proxy.client();
            client.post(RESPONSES, &sent, format!("{{\"input\":\"{TEST_KEY}\"}}"));
            assert_eq!(client.read_answer().end, End::Clean);
            for half in ["request", "response"] {
                let text = text(&dir, number, half);
                assert!(!text.contains(VALUE), "{text}");
                assert!(!text.contains("the-token-of-the-caller"), "{text}");
                let lower = TEST_KEY.to_ascii_lowercase();
                assert!(!text.to_ascii_lowercase().contains(&lower), "{text}");
                assert!(text.contains("****"), "{text}");
                for name in secret {
                    let shown = format!("\"name\": \"{name}\",\n      \"value\": \"[REDACTED]\"");
                    assert!(text.contains(&shown), "{name}: {text}");
                }
            }
        }
        let stars = "*".repeat(TEST_KEY.len());
        let body = dump(&dir, 1, "response")["body"].clone();
        assert_eq!(body, json!(format!("data: {stars}{stars}.\n\n")));
        assert_eq!(dump(&dir, 2, "response")["body"][&stars], json!(1));
    }
}

#[test]
fn a_caller_s_token_gets_into_no_dump() {
    // SHA-256 of `secret`, by sha256sum(1).
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
    let upstream = MockUpstream::h1(Reply::made(|request| {
        let body = String::from_utf8(request.body.clone()).unwrap();
        let (first, second) = body.split_at(body.len() / 2);
        Reply::event_stream()
            .header("x-request-id", &body)
            .data(first.to_owned())
            .data(second.to_owned())
    }));
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    fs::write(&tokens, format!("alice:{HASH}\n")).unwrap();
    let proxy = dumping(&upstream)
        .arg("--client-token-file")
        .arg(&tokens)
        .start();
    let headers = [
        ("authorization", "Bearer secret"),
        ("user-agent", "a secret agent"),
    ];
    let answer = proxy
        .client()
        .post(RESPONSES, &headers, "[\"secretsecret\"]")
        .read_answer();
    assert_eq!(answer.text(), "[\"secretsecret\"]");
    let dir = dir_of(&proxy);
    for half in ["request", "response"] {
        let text = text(&dir, 1, half);
        assert!(!text.contains("secret"), "{text}");
        assert_eq!(dump(&dir, 1, half)["body"], json!(["************"]));
    }
}

#[test]
fn an_answer_whose_caller_left_is_said_not_to_be_whole() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&gate));
    let mut proxy = dumping(&upstream).start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.read_head();
    client.wait_for_body("data: 1");
    client.close();
    let answer = dump(&dir_of(&proxy), 1, "response");
    assert_eq!(
        (&answer["body"], &answer["complete"]),
        (&json!("data: 1\n\n"), &json!(false))
    );
    // One that the end of the proxy cuts is written before that.
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.read_head();
    client.wait_for_body("data: 1");
    for _ in 0..2 {
        proxy.signal(signal("TERM"));
        proxy.wait_for_stderr("shutting down");
    }
    proxy.wait_exit();
    let answer = dump(&dir_of(&proxy), 2, "response");
    assert_eq!(answer["complete"], json!(false));
}

#[test]
fn fifty_streams_at_once_are_all_dumped() {
    let gate = Gate::new();
    let event = format!("data: {}\n\n", "x".repeat(5_000));
    let upstream = MockUpstream::h2(
        Reply::event_stream()
            .data(event.clone())
            .data(event.clone())
            .hold(&gate)
            .data(event.clone()),
    );
    let mut proxy = dumping(&upstream).start();
    let dir = dir_of(&proxy);
    let mut clients: Vec<_> = (0..50).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.post(RESPONSES, &[], "{\"stream\":true}");
        client.read_head();
    }
    wait_for("fifty unfinished files", || {
        (unfinished(&dir).len() == 50).then_some(())
    });
    gate.release();
    for client in &mut clients {
        client.wait_for_body(&event.repeat(3));
    }
    for number in 1..=50 {
        assert_eq!(
            dump(&dir, number, "request")["body"],
            json!({"stream": true})
        );
        assert_eq!(
            dump(&dir, number, "response")["body"],
            json!(event.repeat(3))
        );
    }
    assert_eq!(names(&dir).len(), 100);
    proxy.signal(signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let stderr = proxy.stderr_so_far();
    assert!(!stderr.contains("refused system call"), "{stderr}");
    assert!(!stderr.contains("given up"), "{stderr}");
}

#[test]
fn a_large_request_is_dumped_in_little_memory() {
    const MIB: usize = 1024 * 1024;
    const SIZE: usize = 40;
    let upstream = MockUpstream::h1(Reply::json(200, &json!({})));
    let proxy = dumping(&upstream).start();
    let dir = dir_of(&proxy);
    ask(&proxy);
    dump(&dir, 1, "response");
    let before = proxy.rss_peak_kib();
    let mut client = proxy.client();
    let length = (SIZE * MIB + 2).to_string();
    let head = format!(
        "POST {RESPONSES} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n\""
    );
    client.send(head);
    let part = vec![b'x'; MIB];
    for sent in 1..=SIZE {
        client.send(&part);
        wait_for("what was sent to be on the disk", || {
            let files = unfinished(&dir);
            let sizes = files.iter().filter_map(|file| fs::metadata(file).ok());
            let least = sizes.map(|found| found.len()).min()?;
            (least + 64 * 1024 >= u64::try_from(sent * MIB).unwrap()).then_some(())
        });
    }
    client.send("\"");
    assert_eq!(client.read_answer().status, 200);
    let body = dump(&dir, 2, "request")["body"].clone();
    assert_eq!(body.as_str().unwrap().len(), SIZE * MIB);
    let more = proxy.rss_peak_kib() - before;
    assert!(more < 8 * 1024, "{more} KiB more");
    assert_eq!(unfinished(&dir), [] as [PathBuf; 0]);
}
