//! `why`: what became of a request, by the id that its answer has and the access log.

use std::fs;
use std::path::Path;

use codex_test_support::{MockUpstream, Output, Reply, run_to_exit};
use serde_json::Value;

use crate::records::{final_event, logged};
use crate::{PROXY, RESPONSES, in_front_of};

fn why(id: &str, log: &Path, more: &[&str]) -> Output {
    let mut args = vec!["why", id, "--access-log", log.to_str().unwrap()];
    args.extend(more);
    run_to_exit(PROXY, &args, &[], b"")
}

#[test]
fn why_tells_what_became_of_a_request_that_was_refused_and_of_one_that_was_not() {
    let upstream =
        MockUpstream::h1(Reply::event_stream().data(final_event("response.completed", 3, 2)));
    let logged = logged(in_front_of(&upstream).args(["--allow-model", "gpt-5*"]));
    let post = |body: &str| {
        let answer = logged
            .proxy
            .client()
            .post(RESPONSES, &[], body)
            .read_answer();
        let id = answer
            .header("x-codex-proxy-request-id")
            .unwrap()
            .to_owned();
        (answer.status, id)
    };
    let (status, refused) = post(r#"{"model":"o3","input":"hi"}"#);
    assert_eq!(status, 400);
    let (status, complete) = post(r#"{"model":"gpt-5.6","input":"hi"}"#);
    assert_eq!(status, 200);
    logged.records(2);
    let output = why(&refused, &logged.log, &[]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    for says in [
        format!("Request {refused}: refused (model_not_allowed).\n"),
        "It asked POST /v1/responses; 0 bytes of its body went to the upstream.\n".to_owned(),
        "The policy does not allow this caller the model.\n".to_owned(),
        "allowed: gpt-5*".to_owned(),
        "What to do: Ask for one of the models in the message".to_owned(),
    ] {
        assert!(output.stdout.contains(&says), "{says}: {}", output.stdout);
    }
    let output = why(&complete, &logged.log, &[]);
    assert!(
        output.stdout.contains("It used 3 input tokens"),
        "{}",
        output.stdout
    );
    // As JSON, and from a file that was rotated since.
    fs::rename(&logged.log, logged.log.with_extension("log.1")).unwrap();
    fs::write(&logged.log, "{\"id\":\n").unwrap();
    let output = why(&refused, &logged.log, &["--json"]);
    let object: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(object["record"]["id"], refused);
    assert_eq!(object["record"]["code"], "model_not_allowed");
    assert_eq!(object["skipped_lines"], 1);
    assert!(object["log"].as_str().unwrap().ends_with(".1"), "{object}");
    for text in ["happened", "mend"] {
        assert!(object["explanation"][text].is_string(), "{object}");
    }
}

#[test]
fn why_says_where_it_looked_for_a_request_that_it_does_not_find() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let missing = why("0123456789-1", &log, &[]);
    assert_eq!((missing.code, missing.stdout.as_str()), (Some(1), ""));
    assert!(
        missing.stderr.contains("cannot be read"),
        "{}",
        missing.stderr
    );
    fs::write(
        &log,
        "{\"id\":\"0123456789-2\"}\n{\"id\":\"0123456789-1\",\n",
    )
    .unwrap();
    let not_found = why("0123456789-1", &log, &[]);
    assert_eq!((not_found.code, not_found.stdout.as_str()), (Some(1), ""));
    let says = "no line has the request 0123456789-1 (logs looked into: 1; lines: 2, of which 1 are cut or not JSON)";
    assert!(not_found.stderr.contains(says), "{}", not_found.stderr);
    assert_eq!(run_to_exit(PROXY, &["why"], &[], b"").code, Some(2));
    let default = run_to_exit(PROXY, &["why", "0123456789-1"], &[], b"");
    assert_eq!(default.code, Some(1));
    let stderr = default.stderr;
    assert!(
        stderr.contains("/var/log/codex-proxy/access.log"),
        "{stderr}"
    );
}
