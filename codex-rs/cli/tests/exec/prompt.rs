//! Where the question comes from.

use codex_test_support::{MockUpstream, Reply, Stdin};
use serde_json::json;

use crate::{Run, ask, assert_ended, codex, config};

fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::responses("hi"))
}

/// `codex` with these arguments, led to `upstream`.
fn led_to(upstream: &MockUpstream, args: &[&str]) -> Run {
    codex(args).file("config.toml", config(upstream, ""))
}

#[test]
fn from_the_argument_from_standard_input_or_both() {
    let upstream = upstream();
    let cases: [(&[&str], &str, &str); 7] = [
        (&["exec", "hi"], "", "hi"),
        (&["exec", "-"], "from stdin\n", "from stdin\n"),
        (&["exec"], "from stdin", "from stdin"),
        (
            &["exec", "what is it?"],
            "a\nb\n",
            "what is it?\n\n<stdin>\na\nb\n</stdin>",
        ),
        (
            &["exec", "what is it?"],
            "a",
            "what is it?\n\n<stdin>\na\n</stdin>",
        ),
        // Without a terminal `codex` is the same.
        (&["what is it?"], "a", "what is it?\n\n<stdin>\na\n</stdin>"),
        (&[], "from stdin", "from stdin"),
    ];
    for (index, (args, stdin, text)) in cases.into_iter().enumerate() {
        let output = led_to(&upstream, args).stdin(stdin).run();
        assert_ended(&output, 0, "hi");
        let body = upstream.wait_for_complete(index).body_json();
        assert_eq!(
            body["input"][0]["content"],
            json!([{"type": "input_text", "text": text}])
        );
    }
}

#[test]
fn a_closed_standard_input_adds_no_context() {
    let upstream = upstream();
    let mut run = ask(&upstream);
    run.stdin = Stdin::Closed;
    assert_ended(&run.run(), 0, "hi");
}

#[test]
fn standard_input_that_nobody_closes_is_mentioned_after_a_while() {
    let upstream = upstream();
    let mut run = ask(&upstream);
    run.stdin = Stdin::BytesThenOpen(b"context".to_vec());
    let program = run.start();
    program.wait_for_stderr("waiting for the end of standard input");
    assert!(upstream.requests().is_empty());
}

#[test]
fn no_prompt_is_exit_2() {
    let upstream = upstream();
    let cases: [(&[&str], &str); 5] = [
        (&["exec"], ""),
        (&["exec", "-"], ""),
        (&["exec", "-"], " \n"),
        (&["exec", ""], ""),
        (&[], ""),
    ];
    for (args, stdin) in cases {
        let output = led_to(&upstream, args).stdin(stdin).run();
        assert_ended(&output, 2, "");
        assert!(output.stderr.contains("prompt"), "{}", output.stderr);
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn a_key_or_a_mistyped_subcommand_is_not_sent_to_a_model() {
    let upstream = upstream();
    let key = "sk-proj-not-a-real-one-0123456789";
    for (args, stdin) in [
        (&["exec", "hi"][..], key),
        (&["exec", "-"], key),
        (&["exec", key], ""),
        (&["response-api-proxy"], key),
        (&["response-api-proxy"], "anything"),
    ] {
        let output = led_to(&upstream, args).stdin(&format!("{stdin}\n")).run();
        assert_ended(&output, 2, "");
        assert!(!output.stderr.contains(key));
    }
    assert!(upstream.requests().is_empty());
}

#[test]
fn text_comes_in_any_encoding_and_what_is_none_is_refused() {
    let upstream = upstream();
    for (index, (bytes, text, note)) in [
        (
            &b"Gr\xfc\xdfe\n"[..],
            "Grüße\n",
            "1 line of standard input is not UTF-8",
        ),
        (b"\xef\xbb\xbfmark\n", "mark\n", ""),
        (b"\xff\xfeu\0\n\0", "u\n", ""),
    ]
    .into_iter()
    .enumerate()
    {
        let mut run = ask(&upstream);
        run.stdin = Stdin::Bytes(bytes.to_vec());
        let output = run.run();
        assert_ended(&output, 0, "hi");
        assert!(output.stderr.contains(note), "{}", output.stderr);
        let body = upstream.wait_for_complete(index).body_json();
        let sent = body["input"][0]["content"][0]["text"].as_str().unwrap();
        assert_eq!(sent, format!("hi\n\n<stdin>\n{text}</stdin>"));
    }
    let mut run = ask(&upstream);
    run.stdin = Stdin::Bytes(b"\x7fELF\0\xff".to_vec());
    let output = run.run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("standard input is not text"),
        "{}",
        output.stderr
    );
    assert_eq!(upstream.requests().len(), 3);
}

#[test]
fn files_are_sent_with_their_names() {
    let upstream = upstream();
    let run = ask(&upstream)
        .file("a.rs", "fn main() {}\n")
        .file("b,c.png", b"\x89PNG\r\n\x1a\n...")
        .file("d.bin", b"\0\xff");
    let (text, image, binary) = (run.path("a.rs"), run.path("b,c.png"), run.path("d.bin"));
    let run = run.args(&["-f", &text, "-i", &image]);
    assert_ended(&run.run(), 0, "hi");
    assert_eq!(
        upstream.wait_for_complete(0).body_json()["input"][0]["content"],
        json!([
            {"type": "input_text", "text": "hi"},
            {"type": "input_text", "text": format!("<file name=\"{text}\">\nfn main() {{}}\n</file>")},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgouLi4="},
        ])
    );
    let output = run.args(&["-f", &binary]).run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("is not a text file"),
        "{}",
        output.stderr
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn images_are_sent_with_the_prompt() {
    let upstream = upstream();
    let run = ask(&upstream)
        .file("a.bin", b"\x89PNG\r\n\x1a\n...")
        .file("b.bin", b"\xff\xd8\xff...")
        .file("c.txt", "no image");
    let both = format!("{},{}", run.path("a.bin"), run.path("b.bin"));
    let (first, none) = (run.path("c.txt"), run.path("none"));
    assert_ended(&run.args(&["--image", &both]).run(), 0, "hi");
    assert_eq!(
        upstream.wait_for_complete(0).body_json()["input"][0]["content"],
        json!([
            {"type": "input_text", "text": "hi"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgouLi4="},
            {"type": "input_image", "image_url": "data:image/jpeg;base64,/9j/Li4u"},
        ])
    );
    for (path, says) in [(first, "could not read"), (none, "could not read")] {
        let output = ask(&upstream).args(&["-i", &path]).run();
        assert_ended(&output, 1, "");
        assert!(output.stderr.contains(says), "{}", output.stderr);
    }
    let run = ask(&upstream).file("c.txt", "no image");
    let path = run.path("c.txt");
    let output = run.args(&["-i", &path]).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("is not a PNG, JPEG, GIF or WebP image")
    );
    assert_eq!(upstream.requests().len(), 1);
}

#[test]
fn a_quiet_program_does_not_say_that_it_waits() {
    let upstream = upstream();
    // Both have the same to wait for; the one that speaks shows that the other had its time.
    let mut quiet = ask(&upstream).args(&["--quiet"]);
    quiet.stdin = Stdin::BytesThenOpen(b"context".to_vec());
    let quiet = quiet.start();
    let mut other = ask(&upstream);
    other.stdin = Stdin::BytesThenOpen(b"context".to_vec());
    other
        .start()
        .wait_for_stderr("waiting for the end of standard input");
    #[cfg(unix)]
    {
        quiet.signal("TERM");
        assert_eq!(quiet.wait_exit().stderr, "");
    }
}
