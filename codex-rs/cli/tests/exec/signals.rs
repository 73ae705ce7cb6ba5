//! SIGTERM and SIGINT end it, and the terminal is left as it was.

use std::process::Command;

use codex_test_support::{Gate, MockUpstream, Reply, WAIT_TIMEOUT};
use rexpect::session::spawn_command;
use serde_json::json;

use crate::terminal::{PROMPT, shell_on_a_terminal};
use crate::{CODEX, chat, created, delta, event, whole};

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
    let timeout = u64::try_from(WAIT_TIMEOUT.as_millis()).ok();
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
