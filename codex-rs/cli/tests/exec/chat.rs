//! A conversation on a terminal of its own.

use std::os::unix::fs::PermissionsExt;

use codex_test_support::{Gate, MockUpstream, Reply};
use serde_json::{Value, json};

use crate::terminal::{PROMPT, leaves_with, on_a_terminal};
use crate::{chat, completed, created, delta, event, whole};

/// What went up in a request: role and text of each message.
fn said(upstream: &MockUpstream, index: usize) -> Vec<(String, String)> {
    let body = upstream.wait_for_complete(index).body_json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let input = body["input"].as_array().unwrap().iter();
    input
        .map(|item| (text(&item["role"]), text(&item["content"][0]["text"])))
        .collect()
}

fn user(text: &str) -> (String, String) {
    ("user".to_owned(), text.to_owned())
}

fn assistant(text: &str) -> (String, String) {
    ("assistant".to_owned(), text.to_owned())
}

/// Between two questions its proxy is killed, and another process takes the port.
#[cfg(target_os = "linux")]
#[test]
fn a_conversation_does_not_continue_with_another_process_on_the_proxy_s_port() {
    let upstream = MockUpstream::h1(Reply::responses("It is 42."));
    let mut proxy = codex_test_support::Proxy::builder(crate::CODEX)
        .subcommand("responses-api-proxy")
        .upstream(&upstream)
        .server_info()
        .start();
    let info = proxy.info_file();
    let run = crate::codex(&["--server-info", info.to_str().unwrap()]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("what is it?").unwrap();
    terminal.exp_string("It is 42.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    proxy.signal(9);
    proxy.wait_exit();
    let other = MockUpstream::builder().port(proxy.port()).start();
    terminal.send_line("and why?").unwrap();
    terminal.exp_string("has gone").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    assert_eq!(other.connections(), 0);
}

#[test]
fn a_question_an_answer_that_is_cancelled_and_a_second_question() {
    let gate = Gate::new();
    let half = Reply::event_stream()
        .data([created(), delta("The answer ")].concat())
        .hold(&gate);
    let upstream = MockUpstream::h1(vec![half, whole("It is 42."), whole("Bye.")]);
    let run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string("Ctrl-D leaves").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("what is it?").unwrap();
    // It is shown as it arrives: there is no end of this answer yet.
    terminal.exp_string("The answer ").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string("cancelled").unwrap();
    upstream.wait_for_cancel(0);
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("go on").unwrap();
    terminal.exp_string("It is 42.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    // What is typed and thrown away is never sent.
    terminal.send("never mind").unwrap();
    terminal.send_control('c').unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("first \\").unwrap();
    terminal.send_line("second").unwrap();
    terminal.exp_string("Bye.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_control('d').unwrap();
    leaves_with(terminal, 0);

    assert_eq!(said(&upstream, 0), [user("what is it?")]);
    let mut all = vec![user("what is it?"), assistant("The answer "), user("go on")];
    assert_eq!(said(&upstream, 1), all);
    all.extend([assistant("It is 42."), user("first \nsecond")]);
    assert_eq!(said(&upstream, 2), all);
    assert_eq!(upstream.requests().len(), 3);
    gate.release();
}

#[test]
fn with_a_prompt_it_answers_and_stays() {
    let upstream = MockUpstream::h1(vec![whole("Hello."), whole("Again.")]);
    let run = chat(&upstream, &["-m", "flag", "hi"]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string("Hello.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("more").unwrap();
    terminal.exp_string("Again.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_control('d').unwrap();
    leaves_with(terminal, 0);
    assert_eq!(
        said(&upstream, 1),
        [user("hi"), assistant("Hello."), user("more")]
    );
    assert_eq!(upstream.wait_for_complete(1).body_json()["model"], "flag");
}

#[test]
fn a_failure_is_reported_and_the_conversation_goes_on_without_it() {
    let error = json!({"error": {"message": "not now", "code": "busy"}});
    let upstream = MockUpstream::h1(vec![Reply::json(500, &error), whole("Now.")]);
    let run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("one").unwrap();
    terminal.exp_string("not now (busy)").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("two").unwrap();
    terminal.exp_string("Now.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_control('d').unwrap();
    leaves_with(terminal, 0);
    assert_eq!(said(&upstream, 1), [user("two")]);
}

#[test]
fn the_history_file_is_readable_by_its_owner_only() {
    let upstream = MockUpstream::h1(whole("ok"));
    let run = chat(&upstream, &[]);
    for (line, earlier) in [
        ("remember this", None),
        (" but not this", Some("remember this")),
    ] {
        let mut terminal = on_a_terminal(&run);
        terminal.exp_string(PROMPT).unwrap();
        if let Some(earlier) = earlier {
            terminal.send("\u{1b}[A").unwrap();
            terminal.flush().unwrap();
            terminal.exp_string(earlier).unwrap();
            terminal.send_control('u').unwrap();
        }
        terminal.send_line(line).unwrap();
        terminal.exp_string("ok").unwrap();
        terminal.exp_string(PROMPT).unwrap();
        terminal.send_control('d').unwrap();
        leaves_with(terminal, 0);
    }
    let path = run.path("exec-chat-history");
    let saved = std::fs::read_to_string(&path).unwrap();
    assert!(
        saved.contains("remember this") && !saved.contains("but not"),
        "{saved}"
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_question_without_an_answer_is_removed_from_the_conversation() {
    let call = json!({"type": "response.output_item.done", "item": {"type": "function_call", "name": "shell"}});
    let tool = Reply::event_stream().data([created(), event(&call), completed()].concat());
    let upstream = MockUpstream::h1(vec![tool, whole("Now.")]);
    let run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("one").unwrap();
    terminal
        .exp_string("the model called the tool shell instead")
        .unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("two").unwrap();
    terminal.exp_string("Now.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_control('d').unwrap();
    leaves_with(terminal, 0);
    assert_eq!(said(&upstream, 1), [user("two")]);
}

#[test]
fn a_typed_key_is_neither_sent_nor_saved_and_a_pasted_backslash_is_both() {
    let upstream = MockUpstream::h1(whole("ok"));
    let run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(PROMPT).unwrap();
    terminal
        .send_line("sk-proj-not-a-real-one-0123456789")
        .unwrap();
    terminal.exp_string("looks like an API key").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send("\u{1b}[200~a \\\nb\u{1b}[201~").unwrap();
    terminal.send_line("").unwrap();
    terminal.exp_string("ok").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_control('d').unwrap();
    leaves_with(terminal, 0);
    assert_eq!(said(&upstream, 0), [user("a \\\nb")]);
    let saved = std::fs::read_to_string(run.path("exec-chat-history")).unwrap();
    assert!(!saved.contains("sk-proj") && saved.contains('a'), "{saved}");
}

#[test]
fn a_bad_argument_is_reported_before_the_first_prompt() {
    let upstream = MockUpstream::h1(whole("ok"));
    for (args, code, says) in [
        (
            &["-i", "/nowhere.png"][..],
            1,
            "could not read /nowhere.png",
        ),
        (&["login"], 2, "a subcommand of OpenAI's Codex CLI"),
        (
            &["responses-api-prox"],
            2,
            "did you mean responses-api-proxy?",
        ),
    ] {
        let rest = leaves_with(on_a_terminal(&chat(&upstream, args)), code);
        assert!(rest.contains(says), "{rest}");
    }
    assert!(upstream.requests().is_empty());
}
