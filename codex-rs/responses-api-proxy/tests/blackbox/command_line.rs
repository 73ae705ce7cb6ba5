//! The command line: what it accepts, and how it refuses the rest.

use std::fs;
use std::os::unix::fs::symlink;

use codex_test_support::{MockUpstream, RefusedPort, Reply, TEST_KEY, run_to_exit};

use crate::{PROXY, in_front_of};

fn run(args: &[&str]) -> (Option<i32>, String) {
    let output = run_to_exit(PROXY, args, &[], TEST_KEY.as_bytes());
    assert_eq!(output.stdout, "");
    (output.code, output.stderr)
}

#[test]
fn a_port_can_be_asked_for_and_a_taken_one_is_named() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let free = RefusedPort::new().addr().port();
    let proxy = in_front_of(&upstream).port(free).start();
    assert_eq!(proxy.port(), free);
    let (code, stderr) = run(&["--port", &free.to_string()]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.starts_with(&format!("Error: failed to bind 127.0.0.1:{free}: ")),
        "{stderr}"
    );
    assert_eq!(stderr.lines().count(), 1);
    assert!(in_front_of(&upstream).port(0).start().port() > 0);
}

#[test]
fn a_wrong_command_line_is_exit_2() {
    for args in [
        &["--nonsense"][..],
        &["--port", "99999"],
        &["--port", "abc"],
        &["--upstream-timeout", "soon"],
        &["--upstream-timeout", "0"],
        &["--max-body", "1.5MiB"],
        &["surplus"],
    ] {
        let (code, stderr) = run(args);
        assert_eq!(code, Some(2), "{args:?}");
        assert!(stderr.contains("error: "), "{stderr}");
    }
}

#[test]
fn an_upstream_url_that_cannot_have_the_key_is_exit_1() {
    for (url, why) in [
        ("nope", "is not an absolute URL"),
        ("/v1/responses", "is not an absolute URL"),
        ("ftp://example.com/", "has the scheme ftp"),
        ("https://user:secret@example.com/", "has user info"),
        ("http://example.com/v1/responses", "in cleartext"),
        ("http://10.0.0.1/v1/responses", "in cleartext"),
        ("http://0.0.0.0/v1/responses", "in cleartext"),
    ] {
        let (code, stderr) = run(&["--upstream-url", url]);
        assert_eq!(code, Some(1), "{url}");
        assert!(
            stderr.starts_with("Error: --upstream-url ") && stderr.contains(why),
            "{stderr}"
        );
        assert!(
            !stderr.contains("secret") && !stderr.contains("backtrace"),
            "{stderr}"
        );
    }
}

#[test]
fn help_and_version_are_on_stdout() {
    let help = run_to_exit(PROXY, &["--help"], &[], b"");
    assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""));
    for word in [
        "printenv OPENAI_API_KEY | env -u OPENAI_API_KEY",
        "--server-info <FILE>",
        "SSL_CERT_FILE",
    ] {
        assert!(help.stdout.contains(word), "{word}");
    }
    let version = run_to_exit(PROXY, &["--version"], &[], b"");
    // A commit may follow.
    let expected = format!("codex-responses-api-proxy {}", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        version
            .stdout
            .split([' ', '\n'])
            .take(2)
            .collect::<Vec<_>>()
            .join(" "),
        expected
    );
}

#[test]
fn an_upstream_that_is_the_proxy_itself_is_refused() {
    let port = RefusedPort::new().addr().port();
    for host in ["127.0.0.1", "localhost", "LOCALHOST"] {
        let url = format!("http://{host}:{port}/v1/responses");
        let (code, stderr) = run(&["--port", &port.to_string(), "--upstream-url", &url]);
        assert_eq!(code, Some(1));
        assert!(stderr.contains("is this proxy itself"), "{stderr}");
    }
}

/// Each would take what the other wrote for its own, or overwrite it.
#[test]
fn two_flags_that_name_one_file_are_refused_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::create_dir(at("real")).unwrap();
    symlink("real", at("link")).unwrap();
    let unix = |path: &str| format!("unix:{path}");
    let (path, respelt) = (at("real/file"), at("link/../real/./file"));
    let flags = [
        ("--server-info", path.clone(), respelt.clone()),
        ("--listen", unix(&path), unix(&respelt)),
        ("--metrics", unix(&path), unix(&respelt)),
        ("--access-log", path.clone(), respelt.clone()),
        ("--audit-log", path.clone(), respelt.clone()),
        ("--dump-dir", path, respelt),
    ];
    for (number, (one, path, _)) in flags.iter().enumerate() {
        for (other, same, respelt) in &flags[number + 1..] {
            for second in [same, respelt] {
                let (code, stderr) = run(&[one, path, other, second]);
                assert_eq!(code, Some(1), "{stderr}");
                let said = format!("Error: {one} and {other} name the same file, ");
                assert!(stderr.starts_with(&said), "{stderr}");
                assert_eq!(stderr.lines().count(), 1, "{stderr}");
            }
        }
    }
    assert_eq!(fs::read_dir(at("real")).unwrap().count(), 0);
    fs::write(at("real/one"), "").unwrap();
    fs::hard_link(at("real/one"), at("real/two")).unwrap();
    let (_, stderr) = run(&[
        "--server-info",
        &at("real/one"),
        "--audit-log",
        &at("real/two"),
    ]);
    assert!(stderr.contains("name the same file"), "{stderr}");
}
