//! What has to be so before the key is read, and who else had it by then.

use std::fs;

use codex_test_support::{MockUpstream, Proxy, Reply, TEST_KEY};

use crate::custody::skipped;
use crate::{PROXY, in_front_of};

/// Arguments, variables, and what is said of them.
type Case<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str);

/// Whatever is wrong and has nothing to do with the key is said before one is asked for.
#[test]
fn bad_settings_are_refused_before_the_key_is_read() {
    use codex_test_support::Stdin;

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    let file = file.to_str().unwrap();
    let at_file = format!("unix:{file}");
    let live = dir.path().join("live");
    let _live = std::os::unix::net::UnixListener::bind(&live).unwrap();
    let at_live = format!("unix:{}", live.display());
    let itself = codex_test_support::RefusedPort::new().addr().port();
    let itself_url = format!("http://127.0.0.1:{itself}/v1/responses");
    let itself = itself.to_string();
    let cases: &[Case<'_>] = &[
        (&["--port", &taken], &[], "failed to bind 127.0.0.1:"),
        (&["--listen", &at_file], &[], "not a socket is there"),
        (
            &["--listen", &at_live],
            &[],
            "another process listens there",
        ),
        (
            &["--listen", "unix:/nowhere/s"],
            &[],
            "failed to bind unix:/nowhere/s",
        ),
        (&["--server-info", file], &[], "holds something else"),
        (
            &["--server-info", "/dev/null/x"],
            &[],
            "--server-info /dev/null/x",
        ),
        (
            &["--client-token-file", file],
            &[],
            "line 1 is not NAME:SHA256",
        ),
        (
            &["--user", "no-such-user-here"],
            &[],
            "no user no-such-user-here",
        ),
        (&["--allow-user", "no-such-user-here"], &[], "--allow-user"),
        (
            &["--port", &itself, "--upstream-url", &itself_url],
            &[],
            "is this proxy itself",
        ),
        (
            &["--upstream-url", "https://a/x"],
            &[("HTTPS_PROXY", "socks5://h")],
            "HTTPS_PROXY",
        ),
        (
            &["--upstream-url", "https://a/x"],
            &[("SSL_CERT_FILE", "/nowhere")],
            "SSL_CERT_FILE",
        ),
    ];
    for (args, env, says) in cases {
        let cleartext = ["--upstream-url", "http://127.0.0.1:1/v1/responses"];
        let mut all: Vec<&str> = args.to_vec();
        if !args.contains(&"--upstream-url") {
            all.extend(cleartext);
        }
        let mut builder = Proxy::builder(PROXY)
            .args(all)
            // As a terminal without any input.
            .stdin(Stdin::BytesThenOpen(Vec::new()));
        for (name, value) in *env {
            builder = builder.env(*name, *value);
        }
        let mut proxy = builder.spawn();
        assert_eq!(proxy.wait_exit().code(), Some(1), "{args:?}");
        let said = proxy.stderr_so_far();
        assert!(said.starts_with("Error: ") && said.contains(says), "{said}");
        assert!(!said.contains("waiting for"), "{said}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn the_port_is_bound_and_refuses_connections_while_the_key_is_awaited() {
    use codex_test_support::{Client, RefusedPort, Stdin};
    use std::net::{TcpListener, TcpStream};

    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let port = RefusedPort::new().addr().port();
    let mut proxy = in_front_of(&upstream)
        .port(port)
        .server_info()
        .stdin(Stdin::BytesThenOpen(Vec::new()))
        .spawn();
    proxy.wait_for_stderr("waiting for the API key");
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    assert!(TcpListener::bind(("127.0.0.1", port)).is_err());
    assert!(!proxy.info_file().exists());
    proxy.write_stdin(format!("{TEST_KEY}\n"));
    proxy.wait_ready();
    let answer = Client::connect(proxy.addr())
        .post(crate::RESPONSES, &[], "{}")
        .read_answer();
    assert_eq!(answer.status, 200);
    // One that follows gets the port although connections to this one have just been closed.
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert_eq!(in_front_of(&upstream).port(port).start().port(), port);
}

#[test]
fn other_processes_that_hold_the_key_are_named() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let through = |script: &str, variable: Option<&str>| {
        let script = script.replace("PROXY", PROXY).replace(
            "ARGS",
            &format!("--http-shutdown --upstream-url {}", upstream.url()),
        );
        let mut builder = Proxy::builder("/bin/bash").args(["-c", &script]);
        if let Some(name) = variable {
            builder = builder.env(name, TEST_KEY);
        }
        let mut proxy = builder.spawn();
        proxy.wait_ready();
        let banner = proxy.wait_for_stderr("process: ");
        // The shell is ours to end, and the proxy is the shell's.
        assert_eq!(proxy.client().get("/shutdown").read_answer().status, 200);
        banner
    };
    if std::process::Command::new("bash")
        .arg("--version")
        .output()
        .is_err()
    {
        return skipped("bash is not installed");
    }
    // A shell that waits keeps what it got, directly or further up, whatever the variable is called.
    for (script, name) in [
        ("printenv K | env -u K PROXY ARGS; true", "K"),
        ("( printenv K | env -u K PROXY ARGS ) & wait", "K"),
        (
            "printenv OPENAI_API_KEY | env -u OPENAI_API_KEY bash -c 'PROXY ARGS; true'; true",
            "OPENAI_API_KEY",
        ),
    ] {
        let banner = through(script, Some(name));
        assert!(
            banner.contains("warning: process ")
                && banner.contains("keeps the key in its environment"),
            "{script}: {banner}"
        );
        assert!(
            !banner.contains("is in the environment of the proxy"),
            "{banner}"
        );
    }
    // One that gives way to the proxy keeps nothing.
    let banner = through("exec env -u K PROXY ARGS < <(printenv K)", Some("K"));
    assert!(!banner.contains("warning"), "{banner}");
    // Our own environment, by whatever name.
    let banner = through("exec PROXY ARGS < <(printenv MY_TOKEN)", Some("MY_TOKEN"));
    assert!(
        banner.contains("warning: MY_TOKEN is in the environment of the proxy"),
        "{banner}"
    );
    // Arguments are for everybody to read.
    let typed = format!("printf {TEST_KEY} | PROXY ARGS; true");
    let banner = through(&typed, None);
    assert!(banner.contains("has the key in its arguments"), "{banner}");
}
