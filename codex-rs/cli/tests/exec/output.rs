//! Standard output, files, signals, exit codes.

use codex_test_support::{Gate, MockUpstream, Reply, Stdin};

use crate::{CODEX, ask, assert_ended, completed, created, delta};

#[test]
fn text_goes_out_byte_for_byte() {
    let text = "\u{1b}[31mred\u{0} \u{202e}\r\n\ttab";
    let upstream = MockUpstream::h1(Reply::responses(text));
    assert_ended(&ask(&upstream).run(), 0, text);
}

#[test]
fn the_last_message_is_written_when_it_is_whole() {
    let whole = Reply::event_stream().data([created(), delta("new\n"), completed()].concat());
    let half = Reply::event_stream().data([created(), delta("half")].concat());
    for (reply, code, content) in [(whole, 0, "new\n"), (half, 1, "an older and longer one")] {
        let upstream = MockUpstream::h1(reply);
        let run = ask(&upstream).file("last", "an older and longer one");
        let path = run.path("last");
        let run = run.args(&["--output-last-message", &path]);
        let output = run.run();
        assert_eq!(output.code, Some(code), "{}", output.stderr);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named_before_anything_is_asked() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let output = ask(&upstream).args(&["-o", "/nowhere/at/all"]).run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("could not write /nowhere/at/all"),
        "{}",
        output.stderr
    );
    assert!(upstream.requests().is_empty());
}

#[cfg(unix)]
#[test]
fn a_closed_pipe_is_not_a_failure() {
    let text = "word ".repeat(100_000);
    let upstream = MockUpstream::h1(Reply::responses(&text));
    let script = "{ \"$@\"; echo \"code $?\" >&2; } | head -c 1";
    let output = ask(&upstream).args(&["--quiet"]).run_in_shell(script);
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("w", "code 0\n")
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_a_failure() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let output = ask(&upstream).run_in_shell("exec \"$@\" >/dev/full");
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("could not write the answer: No space left"),
        "{}",
        output.stderr
    );
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_with_its_own_code_and_cancels_the_request() {
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let gate = Gate::new();
        let reply = Reply::event_stream()
            .data([created(), delta("half")].concat())
            .hold(&gate);
        let upstream = MockUpstream::h1(reply);
        let run = ask(&upstream);
        let program = run.start();
        program.wait_for_stdout("half");
        program.signal(signal);
        let output = program.wait_exit();
        assert_ended(&output, code, "half");
        assert_eq!(output.stderr, "");
        upstream.wait_for_cancel(0);
        gate.release();
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_works_while_standard_output_is_not_read() {
    // A reader that is there and never reads: the pipe fills, and the write to it blocks.
    let upstream = MockUpstream::h1(Reply::responses(&"word ".repeat(100_000)));
    let run = ask(&upstream);
    let fifo = run.path("fifo");
    let script = "mkfifo \"$FIFO\"; exec 9<>\"$FIFO\"; exec \"$@\" >\"$FIFO\"";
    let run = run.env("FIFO", &fifo);
    let program = run.start_by("/bin/sh", &["-c", script, "sh", CODEX]);
    upstream.wait_for_complete(0);
    program.signal("INT");
    assert_ended(&program.wait_exit(), 130, "");
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_although_standard_error_is_not_read() {
    let think = crate::event(&serde_json::json!({
        "type": "response.reasoning_summary_text.delta",
        "delta": "hm ".repeat(100_000),
    }));
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let gate = Gate::new();
        let body = [created(), think.clone()].concat();
        let upstream = MockUpstream::h1(Reply::event_stream().data(body).hold(&gate));
        let run = ask(&upstream).args(&["--show-reasoning"]);
        let fifo = run.path("fifo");
        // The pipe of standard error is full before the signal is sent: a reader that takes one
        // byte has seen the beginning of what does not fit in.
        let script = "mkfifo \"$FIFO\"; exec 9<>\"$FIFO\"; \"$@\" 2>\"$FIFO\" & \
                      head -c 1 <&9 >/dev/null; kill -$SIGNAL $!; wait $!; echo code $?";
        let run = run.env("FIFO", &fifo).env("SIGNAL", signal);
        // A shell without job control would start what is in the background deaf to SIGINT.
        let program = run.start_by("/bin/bash", &["-mc", script, "bash", CODEX]);
        let output = program.wait_exit();
        assert_eq!(output.stdout, format!("code {code}\n"), "{}", output.stderr);
        gate.release();
    }
}

#[cfg(unix)]
#[test]
fn the_last_message_is_written_although_the_pipe_was_closed() {
    // More than a pipe takes (64 KiB, pipe(7)); a debug build needs seconds for much more.
    let text = "word ".repeat(25_000);
    let upstream = MockUpstream::h1(Reply::responses(&text));
    let run = ask(&upstream).args(&["--quiet"]);
    let path = run.path("last");
    let script = "{ \"$@\"; echo \"code $?\" >&2; } | head -c 1";
    let run = run.args(&["-o", &path]);
    let output = run.run_in_shell(script);
    assert_eq!(output.stderr, "code 0\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_new_file_is_not_left_behind_without_an_answer() {
    let upstream = MockUpstream::h1(Reply::event_stream().data(created()));
    let run = ask(&upstream);
    let path = run.path("last");
    let run = run.args(&["-o", &path]);
    assert_ended(&run.run(), 1, "");
    assert!(!std::path::Path::new(&path).exists());
}

#[cfg(unix)]
#[test]
fn an_answer_and_what_is_said_of_it_are_on_lines_of_their_own() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let output = ask(&upstream).run_in_shell("exec \"$@\" 2>&1");
    assert!(output.stdout.starts_with("hi\n"), "{}", output.stdout);
    assert_eq!(output.stdout.lines().count(), 2, "{}", output.stdout);
    let half = Reply::event_stream().data([created(), delta("half")].concat());
    let output = ask(&MockUpstream::h1(half)).run_in_shell("exec \"$@\" 2>&1");
    assert!(
        output.stdout.starts_with("half\nError: "),
        "{}",
        output.stdout
    );
}

#[test]
fn a_newline_follows_a_whole_answer_whatever_it_ends_with() {
    for text in ["x", "x\n", "x\n\n"] {
        let upstream = MockUpstream::h1(Reply::responses(text));
        assert_ended(&ask(&upstream).run(), 0, text);
    }
}

#[test]
fn the_file_gets_the_last_of_several_messages() {
    let second = crate::event(&serde_json::json!({
        "type": "response.output_text.delta", "output_index": 1, "delta": "two",
    }));
    let events = [created(), delta("one"), second, completed()].concat();
    let upstream = MockUpstream::h1(Reply::event_stream().data(events));
    let run = ask(&upstream);
    let path = run.path("last");
    let run = run.args(&["-o", &path]);
    assert_ended(&run.run(), 0, "one\n\ntwo");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "two");
}

#[cfg(unix)]
#[test]
fn ctrl_c_while_standard_input_is_read_leaves_no_file() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let run = ask(&upstream);
    let path = run.path("last");
    let mut run = run.args(&["-o", &path]);
    run.stdin = Stdin::BytesThenOpen(b"context".to_vec());
    let program = run.start();
    program.wait_for_stderr("waiting for the end of standard input");
    program.signal("INT");
    program.wait_exit();
    assert!(!std::path::Path::new(&path).exists());
}

#[cfg(unix)]
#[test]
fn the_last_message_may_go_to_a_device() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let run = ask(&upstream).args(&["-q", "-o", "/dev/stderr"]);
    let output = run.run();
    assert_ended(&output, 0, "hi");
    assert_eq!(output.stderr, "hi");
}
