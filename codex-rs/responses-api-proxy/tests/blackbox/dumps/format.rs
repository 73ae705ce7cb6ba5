//! The names of dumps and what is in them: those of the peer.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use codex_test_support::{CutKind, Framing, MockUpstream, Reply};
use serde_json::{Value, json};

use super::{dir_of, dump, dumping, find, names, text};
use crate::RESPONSES;

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
