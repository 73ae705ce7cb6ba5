//! What a terminal shows of an answer, and that no control sequence reaches it.

use codex_test_support::{Gate, MockUpstream, Reply, TEST_KEY};
use serde_json::json;

use crate::terminal::{as_seen, leaves_with, on_a_terminal, shell_on_a_terminal};
use crate::{CODEX, assert_ended, chat, codex, completed, created, delta, event, whole};

#[test]
fn no_control_sequence_of_an_answer_reaches_the_terminal() {
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
fn a_spinner_is_wiped_whatever_ends_the_wait() {
    let busy = Reply::json(503, &json!({"error": {"message": "busy"}})).header("retry-after", "50");
    for (reply, is_held, number, code) in [
        (whole("text"), true, "INT", "130"),
        (whole("text"), true, "TERM", "143"),
        // While it waits to ask again.
        (busy, false, "INT", "130"),
    ] {
        let gate = Gate::new();
        let upstream = MockUpstream::h1(if is_held {
            reply.hold_head(&gate)
        } else {
            reply
        });
        let run = chat(&upstream, &[]);
        let retries = "-c model_providers.mock.request_max_retries=3";
        let script = format!(
            "sh -c 'echo $$ >\"$CODEX_HOME/pid\"; exec {CODEX} exec hi {retries}'; echo \"code $?\""
        );
        let mut terminal = shell_on_a_terminal(&run, &script);
        upstream.wait_for_complete(0);
        terminal.exp_string(" m 0s").unwrap();
        let pid = std::fs::read_to_string(run.path("pid")).unwrap();
        let kill = std::process::Command::new("kill")
            .args([&format!("-{number}"), pid.trim()])
            .status();
        assert!(kill.unwrap().success());
        let rest = terminal.exp_string(&format!("code {code}")).unwrap();
        let (_, after) = rest.rsplit_once("\u{1b}[2K").expect("a cleared line");
        assert!(!after.contains(" m "), "{rest:?}");
        gate.release();
    }
}

#[test]
fn marks_of_direction_stay_on_a_terminal_and_overrides_do_not() {
    let upstream = MockUpstream::h1(whole("\u{200f}שלום\u{202e} \u{e0041}."));
    let run = chat(&upstream, &["exec", "hi"]);
    let mut terminal = on_a_terminal(&run);
    terminal
        .exp_string(&as_seen("\u{200f}שלום\u{fffd} \u{fffd}.\r\n"))
        .unwrap();
    leaves_with(terminal, 0);
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
fn no_control_sequence_of_a_model_name_reaches_the_terminal() {
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
