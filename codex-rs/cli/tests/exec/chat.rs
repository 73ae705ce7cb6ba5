//! A conversation on a terminal of its own.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use codex_test_support::{Gate, MockUpstream, PATIENCE, Reply, TEST_KEY};
use rexpect::session::{PtySession, spawn_command};
use serde_json::{Value, json};

use crate::{CODEX, Run, assert_ended, codex, completed, config, created, delta, event};

/// What the line editor shows when it waits for a line.
const PROMPT: &str = "> ";

/// `codex` on a pseudo-terminal, with the arguments and the environment of a run.
fn on_a_terminal(run: &Run) -> PtySession {
    let mut command = Command::new(CODEX);
    command.args(&run.args).env_clear().env("TERM", "xterm");
    for (name, value) in &run.env {
        command.env(name, value);
    }
    let timeout = u64::try_from(PATIENCE.as_millis()).ok();
    spawn_command(command, timeout).unwrap()
}

/// A shell on a pseudo-terminal, with the environment of a run.
fn shell_on_a_terminal(run: &Run, script: &str) -> PtySession {
    let mut command = Command::new("sh");
    command
        .args(["-c", script])
        .env_clear()
        .env("TERM", "xterm");
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in &run.env {
        command.env(name, value);
    }
    let timeout = u64::try_from(PATIENCE.as_millis()).ok();
    spawn_command(command, timeout).unwrap()
}

fn chat(upstream: &MockUpstream, args: &[&str]) -> Run {
    codex(args).file(
        "config.toml",
        config(upstream, "stream_max_retries = 0\nrequest_max_retries = 0"),
    )
}

fn whole(text: &str) -> Reply {
    Reply::event_stream().data([created(), delta(text), completed()].concat())
}

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

#[track_caller]
fn leaves_with(mut terminal: PtySession, code: i32) -> String {
    let rest = terminal.exp_eof().unwrap();
    let status = terminal.process().wait().unwrap();
    assert!(
        format!("{status:?}").ends_with(&format!(", {code})")),
        "{status:?}"
    );
    rest
}

/// As rexpect sees it: it takes each byte for a character.
fn as_seen(text: &str) -> String {
    text.bytes().map(char::from).collect()
}

/// Between two questions its proxy is killed, and somebody else takes the port.
#[cfg(target_os = "linux")]
#[test]
fn a_conversation_does_not_go_on_with_whoever_takes_its_proxy_s_place() {
    let upstream = MockUpstream::h1(Reply::responses("It is 42."));
    let mut proxy = codex_test_support::Proxy::builder(CODEX)
        .subcommand("responses-api-proxy")
        .upstream(&upstream)
        .server_info()
        .start();
    let info = proxy.info_file();
    let run = codex(&["--server-info", info.to_str().unwrap()]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(PROMPT).unwrap();
    terminal.send_line("what is it?").unwrap();
    terminal.exp_string("It is 42.").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    proxy.signal(9);
    proxy.wait_exit();
    let stranger = MockUpstream::builder().port(proxy.port()).start();
    terminal.send_line("and why?").unwrap();
    terminal.exp_string("has gone").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    assert_eq!(stranger.connections(), 0);
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
fn nothing_in_an_answer_steers_the_terminal() {
    // Cut in two, so that neither half is a whole sequence.
    let evil = [
        created(),
        delta("a\u{1b}]0;ti"),
        delta("tle\u{7}\u{9b}2J\rb\r\nc\r"),
        delta("\nd"),
        completed(),
    ];
    let upstream = MockUpstream::h1(Reply::event_stream().data(evil.concat()));
    let run = chat(&upstream, &["exec", "hi"]).env("NO_COLOR", "1");
    let mut terminal = on_a_terminal(&run);
    terminal
        .exp_string(&as_seen(
            "a\u{241b}]0;title\u{2407}\u{fffd}2J\u{240d}b\r\nc\r\nd\r\n",
        ))
        .unwrap();
    leaves_with(terminal, 0);
    // Events as well, though JSON escapes only some of them.
    let upstream =
        MockUpstream::h1(Reply::event_stream().data([delta("\u{9b}2J"), completed()].concat()));
    let run = chat(&upstream, &["exec", "--json", "hi"]);
    let mut terminal = on_a_terminal(&run);
    terminal.exp_string(&as_seen("\u{fffd}2J")).unwrap();
    leaves_with(terminal, 0);
}

#[test]
fn a_spinner_turns_until_the_first_token() {
    for (args, env, turns) in [
        (&["exec", "hi"][..], ("TERM", "xterm"), true),
        (&["exec", "-q", "hi"], ("TERM", "xterm"), false),
        (&["exec", "hi"], ("TERM", "dumb"), false),
    ] {
        let gate = Gate::new();
        let upstream = MockUpstream::h1(whole("text").hold_head(&gate));
        let run = chat(&upstream, args).env(env.0, env.1);
        let mut terminal = on_a_terminal(&run);
        upstream.wait_for_complete(0);
        let before = if turns {
            terminal.exp_string(" m 0s").unwrap()
        } else {
            String::new()
        };
        gate.release();
        let after = terminal.exp_string("text").unwrap();
        let is_there = |seen: &str| seen.contains(&as_seen("\u{2801}"));
        assert_eq!(is_there(&before), turns, "{before:?}");
        // Its line is cleared before the text begins.
        assert_eq!(after.ends_with("\u{1b}[2K"), turns, "{after:?}");
        let rest = leaves_with(terminal, 0);
        assert!(!is_there(&rest), "{rest:?}");
    }
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    let think = event(&json!({"type": "response.reasoning_summary_text.delta", "delta": "Hmm."}));
    let reply = Reply::event_stream().data([created(), think, delta("x"), completed()].concat());
    for (name, value, is_coloured) in [
        ("TERM", "xterm", true),
        ("NO_COLOR", "1", false),
        ("TERM", "dumb", false),
    ] {
        let upstream = MockUpstream::h1(reply.clone());
        let run = chat(&upstream, &["exec", "--show-reasoning", "hi"]).env(name, value);
        let shown = leaves_with(on_a_terminal(&run), 0);
        assert!(shown.contains("Hmm."), "{shown:?}");
        assert_eq!(shown.contains("\u{1b}[2mHmm."), is_coloured, "{shown:?}");
    }
}

#[test]
fn a_history_is_kept_for_its_owner_alone() {
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
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(
        kept.contains("remember this") && !kept.contains("but not"),
        "{kept}"
    );
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_proxy_shows_on_a_terminal_the_line_to_paste() {
    let upstream = MockUpstream::h1(Reply::responses("pasted"));
    let url = upstream.url();
    for (more, is_shown) in [("", true), ("2>&1 | cat", false)] {
        let run = codex(&[]);
        let script =
            format!("echo {TEST_KEY} | {CODEX} responses-api-proxy --upstream-url {url} {more}");
        let mut terminal = shell_on_a_terminal(&run, &script);
        if is_shown {
            terminal.exp_string("to ask through it:").unwrap();
            terminal.exp_string("codex exec").unwrap();
            let line = terminal.read_line().unwrap();
            let pasted = run.start_by("sh", &["-c", &format!("{CODEX} exec {line}")]);
            assert_ended(&pasted.wait_exit(), 0, "pasted");
            let expected = format!("Bearer {TEST_KEY}");
            let request = upstream.wait_for_complete(0);
            assert_eq!(request.header("authorization"), Some(expected.as_str()));
        } else {
            terminal.exp_string("process: ").unwrap();
        }
        terminal.send_control('c').unwrap();
        let rest = terminal.exp_eof().unwrap();
        assert!(!rest.contains("codex exec"), "{rest}");
    }
}

#[test]
fn a_terminal_is_left_as_it_was_by_sigterm() {
    let upstream = MockUpstream::h1(whole("ok"));
    let run = chat(&upstream, &[]);
    // A shell around it, on the same terminal, sees what it is like afterwards; `exec` in a
    // subshell makes the process id known.
    let script = format!(
        "stty -a >\"$CODEX_HOME/before\"; sh -c 'echo pid $$; exec {CODEX}'; echo code $?; \
         stty -a | diff \"$CODEX_HOME/before\" - && echo same"
    );
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .env_clear()
        .env("TERM", "xterm");
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in &run.env {
        command.env(name, value);
    }
    let timeout = u64::try_from(PATIENCE.as_millis()).ok();
    let mut terminal = spawn_command(command, timeout).unwrap();
    terminal.exp_string("pid ").unwrap();
    let pid = terminal.read_line().unwrap();
    terminal.exp_string("Ctrl-D leaves").unwrap();
    terminal.exp_string(PROMPT).unwrap();
    let kill = Command::new("kill").args(["-TERM", pid.trim()]).status();
    assert!(kill.unwrap().success());
    terminal.exp_string("code 143").unwrap();
    terminal.exp_string("same").unwrap();
}

#[test]
fn sigterm_ends_it_although_the_terminal_is_stopped() {
    let gate = Gate::new();
    let long = Reply::event_stream()
        .data([created(), delta(&"word ".repeat(100_000))].concat())
        .hold(&gate);
    let upstream = MockUpstream::h1(long);
    for (index, args) in ["hi", "exec hi"].into_iter().enumerate() {
        let run = chat(&upstream, &[]);
        let pid = run.path("pid");
        let script = format!("echo $$ >\"$CODEX_HOME/pid\"; exec {CODEX} {args}");
        let mut terminal = shell_on_a_terminal(&run, &script);
        terminal.exp_string("word word").unwrap();
        // Ctrl-S: the terminal takes no more.
        terminal.send_control('s').unwrap();
        let pid = std::fs::read_to_string(pid).unwrap();
        let kill = Command::new("kill").args(["-TERM", pid.trim()]).status();
        assert!(kill.unwrap().success());
        let ended = format!("{:?}", terminal.process().wait().unwrap());
        assert!(
            ended.contains("143") || ended.contains("SIGTERM"),
            "{ended}"
        );
        assert_eq!(upstream.requests().len(), index + 1);
    }
    gate.release();
}

#[test]
fn ctrl_c_ends_a_loop_of_the_shell() {
    let upstream = MockUpstream::h1(Reply::silence());
    let run = chat(&upstream, &[]);
    // Other shells end the loop whatever the program does.
    let script = format!("for i in 1 2 3; do {CODEX} exec -q hi; echo \"code $?\"; done; echo end");
    let script = format!("exec bash -c '{script}'");
    let mut terminal = shell_on_a_terminal(&run, &script);
    upstream.wait_for_complete(0);
    terminal.send_control('c').unwrap();
    let rest = terminal.exp_eof().unwrap();
    assert!(!rest.contains("code") && !rest.contains("end"), "{rest}");
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn an_answer_of_nothing_takes_its_question_back() {
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
fn a_key_is_neither_sent_nor_kept_and_a_pasted_backslash_is_both() {
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
    let kept = std::fs::read_to_string(run.path("exec-chat-history")).unwrap();
    assert!(!kept.contains("sk-proj") && kept.contains('a'), "{kept}");
}

#[test]
fn what_cannot_be_asked_is_said_before_the_first_prompt() {
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

#[test]
fn the_spinner_shows_no_model_that_steers_the_terminal() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(whole("text").hold_head(&gate));
    let model = format!("m\u{1b}]0;x\u{7}{}", "y".repeat(500));
    let run = chat(&upstream, &["exec", "-m", &model, "hi"]);
    let mut terminal = on_a_terminal(&run);
    upstream.wait_for_complete(0);
    let shown = terminal.exp_string(" 0s").unwrap();
    gate.release();
    assert!(
        shown.contains(&as_seen("m\u{241b}]0;x\u{2407}y")),
        "{shown:?}"
    );
    assert!(!shown.contains("\u{1b}]0;x"), "{shown:?}");
    leaves_with(terminal, 0);
}

#[test]
fn ctrl_c_ends_a_conversation_that_is_stuck() {
    let gate = Gate::new();
    let think = "hm ".repeat(100_000);
    let think = event(&json!({"type": "response.reasoning_summary_text.delta", "delta": think}));
    let body = [created(), think].concat();
    let upstream = MockUpstream::h1(Reply::event_stream().data(body).hold(&gate));
    let run = chat(&upstream, &[]);
    // A reader of standard error that takes one byte of what does not fit into the pipe.
    let script = format!(
        "cd \"$CODEX_HOME\"; mkfifo fifo; exec 9<>fifo; (head -c 1 <&9 >taken; echo stuck) & \
         echo $$ >pid; exec {CODEX} --show-reasoning hi 2>fifo"
    );
    let mut terminal = shell_on_a_terminal(&run, &script);
    terminal.exp_string("stuck").unwrap();
    upstream.wait_for_complete(0);
    let pid = std::fs::read_to_string(run.path("pid")).unwrap();
    let kill = Command::new("kill").args(["-INT", pid.trim()]).status();
    assert!(kill.unwrap().success());
    let ended = format!("{:?}", terminal.process().wait().unwrap());
    assert!(ended.contains("SIGINT"), "{ended}");
    gate.release();
}
