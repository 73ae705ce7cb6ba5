//! The commands of a conversation, and going on with one, on a terminal.

use codex_test_support::{MockUpstream, Reply};
use rexpect::session::PtySession;
use serde_json::json;

use crate::terminal::{PROMPT, as_seen, leaves_with, on_a_terminal};
use crate::{Run, chat, completed, created, delta, event, whole};

/// Types a line once a prompt is there.
fn types(terminal: &mut PtySession, line: &str) {
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line(line).unwrap();
}

fn leave(mut terminal: PtySession) -> String {
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_control('d').unwrap();
    leaves_with(terminal, 0)
}

/// The texts of a request, in their order.
fn texts(upstream: &MockUpstream, index: usize) -> Vec<String> {
    let body = upstream.wait_for_complete(index).body_json();
    let input = body["input"].as_array().unwrap().iter();
    input
        .map(|item| item["content"][0]["text"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn commands_are_obeyed_and_not_sent() {
    let upstream = MockUpstream::h1(vec![whole("one **two**"), whole("three"), whole("four")]);
    let run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    types(&mut terminal, "/copy");
    terminal
        .exp_string("there is no answer to copy yet")
        .unwrap();
    types(&mut terminal, "/frobnicate");
    terminal
        .exp_string("there is no command /frobnicate")
        .unwrap();
    types(&mut terminal, "/help");
    terminal.exp_string("/save [FILE]").unwrap();
    types(&mut terminal, "hi");
    terminal.exp_string("\u{1b}[1mtwo\u{1b}[0m").unwrap();
    types(&mut terminal, "/copy");
    // As it was written: "one **two**".
    terminal
        .exp_string("\u{1b}]52;c;b25lICoqdHdvKio=\u{7}")
        .unwrap();
    let file = run.path("saved.md");
    types(&mut terminal, &format!("/save {file}"));
    terminal.exp_string("saved in").unwrap();
    types(&mut terminal, &format!("/save {file}"));
    terminal.exp_string("could not write").unwrap();
    types(&mut terminal, "/model other");
    terminal.exp_string("asks other from now on").unwrap();
    types(&mut terminal, "and?");
    terminal.exp_string("three").unwrap();
    types(&mut terminal, "/clear");
    terminal.exp_string("a new conversation").unwrap();
    types(&mut terminal, "/etc/hosts is what?");
    terminal.exp_string("four").unwrap();
    types(&mut terminal, "/exit");
    let rest = leaves_with(terminal, 0);
    assert!(rest.contains("codex resume "), "{rest}");

    let saved = std::fs::read_to_string(&file).unwrap();
    assert_eq!(saved, "## You\n\nhi\n\n## Model\n\none **two**\n");
    assert_eq!(texts(&upstream, 1), ["hi", "one **two**", "and?"]);
    assert_eq!(upstream.wait_for_complete(1).body_json()["model"], "other");
    assert_eq!(texts(&upstream, 2), ["/etc/hosts is what?"]);
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn a_tab_completes_commands() {
    let upstream = MockUpstream::h1(whole("ok"));
    let run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(PROMPT).unwrap();
    terminal.send("/he\t").unwrap();
    terminal.flush().unwrap();
    terminal.exp_string("lp ").unwrap();
    terminal.send_line("").unwrap();
    terminal.exp_string("/model [NAME]").unwrap();
    leave(terminal);
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_conversation_goes_on_in_another() {
    let upstream = MockUpstream::h1(vec![
        whole("one"),
        whole("two"),
        whole("three"),
        whole("four"),
    ]);
    let mut run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    types(&mut terminal, "first \u{1b}thing");
    terminal.exp_string("one").unwrap();
    leave(terminal);
    run.args = vec!["resume".to_owned(), "--last".to_owned()];
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string("> first").unwrap();
    terminal.exp_string("one").unwrap();
    types(&mut terminal, "second");
    terminal.exp_string("two").unwrap();
    leave(terminal);
    assert_eq!(texts(&upstream, 1)[1..], ["one", "second"]);
    // From a list, by number.
    run.args = vec!["resume".to_owned()];
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(" 1  ").unwrap();
    terminal.exp_string("goes on with one").unwrap();
    types(&mut terminal, "/resume 2");
    terminal.exp_string("there is no number 2").unwrap();
    types(&mut terminal, "/resume 1");
    terminal.exp_string("after 2 questions").unwrap();
    types(&mut terminal, "third");
    terminal.exp_string("three").unwrap();
    leave(terminal);
    assert_eq!(texts(&upstream, 2)[3..], ["two", "third"]);
}

#[test]
fn a_question_without_an_answer_is_in_no_session_either() {
    let error = json!({"error": {"message": "not now", "code": "busy"}});
    let upstream = MockUpstream::h1(vec![Reply::json(400, &error), whole("one"), whole("two")]);
    let mut run = chat(&upstream, &[]);
    let mut terminal = on_a_terminal(&run);
    types(&mut terminal, "lost");
    terminal.exp_string("not now").unwrap();
    types(&mut terminal, "kept");
    terminal.exp_string("one").unwrap();
    leave(terminal);
    run.args = ["exec", "resume", "--last", "--all", "and?"]
        .map(str::to_owned)
        .to_vec();
    run.run();
    assert_eq!(texts(&upstream, 2), ["kept", "one", "and?"]);
}

/// What a terminal shows of an answer, without what stands before and after it.
fn shown(run: &Run) -> String {
    leaves_with(on_a_terminal(run), 0)
}

#[test]
fn markdown_is_shown_on_a_terminal_and_is_itself_elsewhere() {
    let source = "# Title\n- **bold** `code`\n```rust\nlet x = 1;\n```\n&#27;[2J";
    let upstream = MockUpstream::h1(whole(source));
    let mut run = chat(&upstream, &["exec", "-q", "hi"]);
    let seen = shown(&run);
    for piece in [
        "\u{1b}[1;4mTitle\u{1b}[0m\r\n",
        "• \u{1b}[1mbold\u{1b}[0m \u{1b}[36mcode\u{1b}[0m\r\n",
        "\u{1b}[35mlet\u{1b}[0m x",
        "\u{241b}[2J\r\n",
    ] {
        assert!(seen.contains(&as_seen(piece)), "{piece:?} in {seen:?}");
    }
    for plain in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let run = chat(&upstream, &["exec", "-q", "hi"]).env(plain.0, plain.1);
        let seen = shown(&run);
        assert!(seen.contains("- **bold** `code`\r\n"), "{seen:?}");
        assert!(!seen.contains("\u{1b}["), "{seen:?}");
    }
    let never = chat(&upstream, &["exec", "-q", "--color", "never", "hi"]);
    assert!(shown(&never).contains("- **bold** `code`\r\n"));
    run.args.insert(1, "--ephemeral".to_owned());
    assert_eq!(run.run().stdout, format!("{source}\n"));
}

#[test]
fn what_an_answer_cites_is_named_once() {
    let cite = |title: &str| json!({"type": "url_citation", "start_index": 0, "end_index": 1, "url": "https://x/y", "title": title});
    let part = json!({"type": "output_text", "text": "a", "annotations": [cite("T\u{1b}[2J"), cite("T\u{1b}[2J"),
        {"type": "file_citation", "filename": "f.txt"}, {"type": "new"}]});
    let message = json!({"type": "message", "role": "assistant", "content": [part]});
    let done = event(&json!({"type": "response.output_item.done", "item": message}));
    let upstream = MockUpstream::h1(
        Reply::event_stream().data([created(), delta("a"), done, completed()].concat()),
    );
    let mut run = chat(&upstream, &["exec", "hi"]);
    let output = run.run();
    assert_eq!(output.stdout, "a\n");
    assert!(
        output
            .stderr
            .starts_with("[1] T\u{241b}[2J: https://x/y\n[2] f.txt\n"),
        "{}",
        output.stderr
    );
    run.args.push("-q".to_owned());
    assert_eq!(run.run().stderr, "");
}
