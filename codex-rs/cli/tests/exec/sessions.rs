//! Conversations that are kept, and go on.

use std::fs;
use std::path::PathBuf;

use codex_test_support::{Gate, MockUpstream, Reply};
use serde_json::{Value, json};

use crate::{Run, ask, assert_ended, completed, created, delta, event, whole};

/// All rollout files of a home.
fn files(run: &Run) -> Vec<PathBuf> {
    let mut paths = vec![PathBuf::from(run.path("sessions"))];
    for _ in 0..4 {
        let entries = paths
            .iter()
            .flat_map(|path| fs::read_dir(path).into_iter().flatten());
        paths = entries.map(|entry| entry.unwrap().path()).collect();
    }
    paths
}

/// The same home with other arguments.
fn again(run: &mut Run, args: &[&str]) -> codex_test_support::Output {
    run.args = args.iter().map(|arg| (*arg).to_owned()).collect();
    run.run()
}

/// Role and text of each message of a request, and the type of every other item.
fn said(upstream: &MockUpstream, index: usize) -> Vec<String> {
    let body = upstream.wait_for_complete(index).body_json();
    let show = |item: &Value| match item["role"].as_str() {
        Some(role) => format!("{role}: {}", item["content"][0]["text"].as_str().unwrap()),
        None => item["type"].as_str().unwrap().to_owned(),
    };
    body["input"].as_array().unwrap().iter().map(show).collect()
}

fn thread_id(stdout: &str) -> String {
    let line: Value = serde_json::from_str(stdout.lines().next().unwrap()).unwrap();
    line["thread_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_question_goes_on_where_the_last_one_ended() {
    let upstream = MockUpstream::h1(vec![whole("one"), whole("two"), whole("three")]);
    let mut run = ask(&upstream);
    let first = again(&mut run, &["exec", "--json", "hi"]);
    let id = thread_id(&first.stdout);
    // The question alone: what is on standard input is not waited for.
    let second = again(&mut run, &["exec", "resume", "--last", "--all", "and?"]);
    assert_ended(&second, 0, "two");
    assert!(
        second
            .stderr
            .contains(&format!("goes on with the conversation {id}"))
    );
    let third = again(&mut run, &["exec", "resume", &id, "so?", "--json"]);
    assert_eq!(thread_id(&third.stdout), id);
    assert_eq!(
        said(&upstream, 1),
        ["user: hi", "assistant: one", "user: and?"]
    );
    assert_eq!(
        said(&upstream, 2),
        [
            "user: hi",
            "assistant: one",
            "user: and?",
            "assistant: two",
            "user: so?"
        ]
    );
    assert_eq!(files(&run).len(), 1);
}

#[test]
fn tokens_are_those_of_the_whole_thread() {
    let usage = json!({"input_tokens": 5, "output_tokens": 2});
    let end =
        event(&json!({"type": "response.completed", "response": {"id": "r", "usage": usage}}));
    let reply = Reply::event_stream().data([created(), delta("x"), end].concat());
    let upstream = MockUpstream::h1(vec![reply.clone(), reply]);
    let mut run = ask(&upstream);
    again(&mut run, &["exec", "hi"]);
    let second = again(
        &mut run,
        &["exec", "--json", "resume", "--last", "--all", "and?"],
    );
    let last: Value = serde_json::from_str(second.stdout.lines().last().unwrap()).unwrap();
    assert_eq!(last["usage"]["input_tokens"], 10);
    assert_eq!(last["usage"]["output_tokens"], 4);
}

#[test]
fn reasoning_is_sent_back_as_it_came() {
    let reasoning =
        json!({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"});
    let item = |item: Value| event(&json!({"type": "response.output_item.done", "item": item}));
    let message = json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]});
    let reply = [
        created(),
        item(reasoning.clone()),
        item(message),
        completed(),
    ]
    .concat();
    let upstream = MockUpstream::h1(vec![Reply::event_stream().data(reply), whole("y")]);
    let mut run = ask(&upstream);
    again(&mut run, &["exec", "-m", "gpt-5.5", "hi"]);
    again(&mut run, &["exec", "resume", "--last", "--all", "and?"]);
    let first = upstream.wait_for_complete(0).body_json();
    assert_eq!(first["include"], json!(["reasoning.encrypted_content"]));
    let second = upstream.wait_for_complete(1).body_json();
    assert_eq!(second["input"][1], reasoning);
    assert_eq!(
        said(&upstream, 1),
        ["user: hi", "reasoning", "assistant: x", "user: and?"]
    );
    // A model that is not known to reason is not asked for it.
    assert_eq!(second.get("include"), None);
}

#[test]
fn nothing_is_kept_that_is_not_to_be() {
    let upstream = MockUpstream::h1(vec![whole("one"), whole("two"), whole("three")]);
    let mut run = ask(&upstream);
    again(&mut run, &["exec", "--ephemeral", "hi"]);
    assert!(!PathBuf::from(run.path("sessions")).exists());
    again(&mut run, &["exec", "hi"]);
    let before = fs::read(&files(&run)[0]).unwrap();
    let resumed = again(
        &mut run,
        &["exec", "resume", "--ephemeral", "--last", "--all", "and?"],
    );
    assert_ended(&resumed, 0, "three");
    assert_eq!(fs::read(&files(&run)[0]).unwrap(), before);
}

#[test]
fn the_credential_is_in_no_session() {
    let key = "sk-unguessable-0123456789";
    let upstream = MockUpstream::h1(whole(&format!("your key is {key}")));
    let run = ask(&upstream)
        .provider("env_key=\"MY_KEY\"")
        .env("MY_KEY", key);
    let output = run.stdin(&format!("it is {key}\n"));
    output.run();
    let written = fs::read_to_string(&files(&output)[0]).unwrap();
    assert!(
        written.contains("your key is [key]") && written.contains("it is [key]"),
        "{written}"
    );
    assert!(!written.contains(key));
}

#[test]
fn what_cannot_go_on_is_said_before_anything_is_asked() {
    let upstream = MockUpstream::h1(whole("x"));
    let mut run = ask(&upstream);
    for (args, code, says) in [
        (
            &["exec", "resume", "--last", "x"][..],
            1,
            "there is no session of",
        ),
        (
            &["exec", "resume", "--last", "--all", "x"],
            1,
            "there is no session with the provider mock yet",
        ),
        (
            &[
                "exec",
                "resume",
                "01a22589-81f0-7881-945b-1f1e5f0a21ed",
                "x",
            ],
            1,
            "there is no session 01a22589",
        ),
        (
            &["exec", "resume", "name", "x"],
            1,
            "name is not the id of a session",
        ),
        (&["exec", "resume"], 2, "name the conversation"),
        (
            &["exec", "hi", "resume"],
            2,
            "the question comes after `resume`",
        ),
        (
            &["exec", "resume", "--last", "x", "y"],
            2,
            "--last stands in the place of an id",
        ),
        (&["resume"], 2, "name the conversation"),
    ] {
        let output = again(&mut run, args);
        assert_eq!(output.code, Some(code), "{args:?}: {}", output.stderr);
        assert!(output.stderr.contains(says), "{args:?}: {}", output.stderr);
    }
    assert!(upstream.requests().is_empty());
}

#[cfg(unix)]
#[test]
fn a_kill_costs_the_answer_under_way_and_nothing_else() {
    let gate = Gate::new();
    let half = Reply::event_stream()
        .data([created(), delta("half ")].concat())
        .hold(&gate);
    let upstream = MockUpstream::h1(vec![whole("one"), half, whole("three")]);
    let mut run = ask(&upstream);
    again(&mut run, &["exec", "hi"]);
    run.args = ["exec", "resume", "--last", "--all", "and?"]
        .map(str::to_owned)
        .to_vec();
    let program = run.start();
    program.wait_for_stdout("half ");
    // Nobody goes on with it in the meantime.
    let other = again(&mut run, &["exec", "resume", "--last", "--all", "me too"]);
    assert!(
        other.stderr.contains("is in use by another process"),
        "{}",
        other.stderr
    );
    program.signal("KILL");
    program.wait_exit();
    gate.release();
    let third = again(&mut run, &["exec", "resume", "--last", "--all", "so?"]);
    assert_ended(&third, 0, "three");
    assert_eq!(
        said(&upstream, 2),
        ["user: hi", "assistant: one", "user: and?", "user: so?"]
    );
}

#[test]
fn a_hostile_file_is_read_in_bounds_and_shown_harmlessly() {
    let upstream = MockUpstream::h1(vec![whole("one"), whole("two")]);
    let mut run = ask(&upstream);
    again(&mut run, &["exec", "hi"]);
    let path = &files(&run)[0];
    let mut written = fs::read(path).unwrap();
    written.extend_from_slice(b"\x00\xff\x1b]0;x\x07\n{\"type\":\"turn_context\",\"payload\":{\"model\":\"m\\u001b[2J\"}}\n");
    written.extend(std::iter::repeat_n(b'x', 65 << 20));
    written.extend_from_slice(b"\n{\"type\":\"response_item\"");
    fs::write(path, written).unwrap();
    let output = again(&mut run, &["exec", "resume", "--last", "--all", "and?"]);
    assert_ended(&output, 0, "two");
    assert!(output.stderr.contains("m\u{241b}[2J"), "{}", output.stderr);
    assert!(
        output.stderr.contains("3 damaged lines of its file"),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains('\u{1b}'));
    assert_eq!(
        said(&upstream, 1),
        ["user: hi", "assistant: one", "user: and?"]
    );
}

#[test]
fn a_home_that_takes_nothing_costs_no_answer() {
    let upstream = MockUpstream::h1(whole("one"));
    let run = ask(&upstream).file("sessions", "in the way");
    let output = run.run();
    assert_ended(&output, 0, "one");
    assert!(
        output
            .stderr
            .contains("this conversation is not kept: could not write"),
        "{}",
        output.stderr
    );
}
