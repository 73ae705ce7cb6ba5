//! What is set is in force or refused, and the start-up lines say which: flags and variables.

use codex_test_support::{MockUpstream, Output, Proxy, Reply, TEST_KEY, run_to_exit};

use crate::custody::is_root;
use crate::documented_settings::{flags, table};
use crate::{PROXY, ask, in_front_of};

/// Has `hunter2` in it wherever a value could have a secret in it.
const SECRET: &str = "hunter2";

fn start_with(env: &[(&str, &str)]) -> Output {
    start(&[], env)
}

fn start(args: &[&str], env: &[(&str, &str)]) -> Output {
    let ca = MockUpstream::h2(Reply::silence());
    let ca_file = ca.ca_file();
    let mut with_ca = vec![("SSL_CERT_FILE", ca_file.to_str().unwrap())];
    with_ca.retain(|(name, _)| env.iter().all(|(other, _)| other != name));
    with_ca.extend(env);
    run_to_exit(PROXY, args, &with_ca, TEST_KEY.as_bytes())
}

/// Bad values of a variable, and what has to be set besides.
fn bad_values(
    variable: &str,
) -> (
    &'static [&'static str],
    &'static [(&'static str, &'static str)],
) {
    match variable {
        "HTTPS_PROXY" | "https_proxy" | "ALL_PROXY" | "all_proxy" => (
            &[
                "http://alice:hunter2#34@proxy:3128",
                "http://alice:hunter2@x@proxy:3128",
                "http://alice:hunter2/@proxy:3128",
                "http://alice:hunter2%@proxy:3128",
                "http://alice:hunter2@proxy:port",
                "http://alice:hunter2@",
                "socks://alice:hunter2@h:1",
                "socks5h://alice:hunter2@h:1",
                "htp://hunter2",
                "hunter2://h",
                " http://hunter2",
                "http://hunter2/path",
            ],
            &[],
        ),
        "NO_PROXY" | "no_proxy" => (
            &[
                "https://hunter2",
                "a.org,hunter2/8",
                "hun*ter2",
                "hunter2:port",
            ],
            &[("HTTPS_PROXY", "http://127.0.0.1:1")],
        ),
        "SSL_CERT_FILE" | "SSL_CERT_DIR" => (&["/nowhere", "/dev/null"], &[]),
        "CREDENTIALS_DIRECTORY" => (&["hunter2", "hunter2/k"], &[]),
        "SUDO_UID" => (&["hunter2", "-1", "1000 "], &[]),
        "NOTIFY_SOCKET" => (&["hunter2", "vsock:hunter2:1", "/nowhere/hunter2"], &[]),
        "WATCHDOG_USEC" | "LISTEN_FDS" => (&["hunter2", "0", "-1"], &[]),
        "WATCHDOG_PID" | "LISTEN_PID" => (&["hunter2", "-1", "1 "], &[]),
        // Names, which are looked at with sockets alone, and what is not looked at.
        "LISTEN_FDNAMES" | "LISTEN_PIDFDID" => (&[], &[]),
        other => panic!("no bad value for {other} here"),
    }
}

#[test]
fn a_variable_that_is_not_in_force_is_refused_by_its_name_and_not_its_value() {
    for (variable, row) in table().iter().filter(|(name, _)| !name.starts_with("--")) {
        if row.contains("nothing, with a warning") {
            continue;
        }
        if variable == "SUDO_UID" && !is_root() {
            continue;
        }
        let (values, besides) = bad_values(variable);
        let args: &[&str] = match variable.as_str() {
            "CREDENTIALS_DIRECTORY" => &["--key-credential", "k"],
            _ => &[],
        };
        for value in values {
            let env: Vec<_> = besides
                .iter()
                .copied()
                .chain([(variable.as_str(), *value)])
                .collect();
            let output = start(args, &env);
            assert_eq!(output.code, Some(1), "{variable}={value}: {output:?}");
            let said = &output.stderr;
            assert!(
                said.starts_with("Error: ") && said.contains(variable.as_str()),
                "{said}"
            );
            assert!(!said.contains(SECRET) && !said.contains("alice"), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
    }
}

#[test]
fn a_variable_that_is_not_utf_8_or_contradicts_another_is_refused() {
    use std::os::unix::ffi::OsStrExt;

    let ca = MockUpstream::h2(Reply::silence());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NO_PROXY"] {
        let value = std::ffi::OsStr::from_bytes(b"http://hunter2\xff");
        let mut proxy = Proxy::builder(PROXY)
            .env("SSL_CERT_FILE", ca.ca_file())
            .env(name, value)
            .spawn();
        assert_eq!(proxy.wait_exit().code(), Some(1));
        let said = proxy.stderr_so_far();
        assert!(said.contains(&format!("{name} is not UTF-8")), "{said}");
        assert!(!said.contains(SECRET), "{said}");
    }
    let output = start_with(&[("HTTPS_PROXY", "http://a:1"), ("https_proxy", "http://b:1")]);
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .contains("HTTPS_PROXY and https_proxy say different things"),
        "{}",
        output.stderr
    );
}

/// Each flag with a value, and one that it cannot have.
#[test]
fn a_flag_with_a_bad_value_is_refused_by_its_name() {
    for (flag, takes_value) in flags() {
        // The last two take anything, and do nothing with it.
        if !takes_value || matches!(flag.as_str(), "--enable" | "--disable") {
            continue;
        }
        let mut args = vec![flag.as_str()];
        args.push(match flag.as_str() {
            "--upstream-url" => "https://alice:hunter2@host/",
            "--server-info" => "/dev/null/x",
            "--client-token-file" | "--prices" | "--audit-log" | "--policy" | "--ledger" => {
                "/nowhere/file"
            }
            "--access-log" => "/nowhere/log",
            "--dump-dir" => "/nowhere/dumps",
            "--allow-user" | "--allow-group" | "--user" | "--upstream-user" | "--socket-group" => {
                "no-such-name-here"
            }
            _ => "bad value",
        });
        if flag.starts_with("--socket") {
            args.extend(["--listen", "unix:/nowhere/s"]);
        }
        if flag == "--ledger" {
            args.extend(["--budget", "requests=1/day"]);
        }
        if flag == "--upstream-user" {
            args.extend(["--upstream-url", "http://127.0.0.1:1/v1/responses"]);
        }
        let output = run_to_exit(PROXY, &args, &[], TEST_KEY.as_bytes());
        assert!(matches!(output.code, Some(1 | 2)), "{flag}: {output:?}");
        assert!(output.stderr.contains(&flag), "{flag}: {}", output.stderr);
        assert!(!output.stderr.contains(SECRET), "{}", output.stderr);
    }
    // In force for nothing.
    for args in [
        &["--upstream-user", "root"][..],
        &["--socket-mode", "660"],
        &["--socket-group", "root"],
        &["--require-client-token"],
        &["--upstream-url", "https://host/v1/responses#x"],
    ] {
        let output = run_to_exit(PROXY, args, &[], TEST_KEY.as_bytes());
        assert!(matches!(output.code, Some(1 | 2)), "{args:?}: {output:?}");
    }
}

#[test]
fn the_user_and_password_reach_the_outbound_proxy_decoded_and_nobody_else() {
    let upstream = MockUpstream::h2(Reply::responses("never"));
    let recorder = MockUpstream::h1(Reply::new(403));
    let url = format!("http://alice:12%2334@{}", recorder.addr());
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let proxy = in_front_of(&upstream).env(name, url.clone()).start();
        let banner = proxy.wait_for_stderr("through the proxy");
        let says = format!(
            "through the proxy http://{} ({name}, with a user)",
            recorder.addr()
        );
        assert!(banner.contains(&says), "{banner}");
        assert!(
            !banner.contains("alice") && !banner.contains("12%23"),
            "{banner}"
        );
        assert_eq!(ask(&proxy).error_code(), "upstream_connect");
    }
    for request in recorder.wait_for_requests(4) {
        assert_eq!(request.method, "CONNECT");
        // Base64 of `alice:12#34`.
        let expected = Some("Basic YWxpY2U6MTIjMzQ=");
        assert_eq!(request.header("proxy-authorization"), expected);
    }
}

#[test]
fn the_start_up_line_says_which_variable_counts() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let cleartext = MockUpstream::h1(Reply::responses("hi"));
    let dead = ("HTTPS_PROXY", "http://127.0.0.1:1");
    let socks = ("ALL_PROXY", "socks5://127.0.0.1:1");
    for (upstream, env, says) in [
        (
            &upstream,
            &[dead, ("NO_PROXY", "127.0.0.1")][..],
            ", without the proxy of HTTPS_PROXY (NO_PROXY)",
        ),
        (
            &upstream,
            &[dead, ("no_proxy", "a.org 127.0.0.0/8")],
            ", without the proxy of HTTPS_PROXY (no_proxy)",
        ),
        (
            &upstream,
            &[socks, ("NO_PROXY", "*")],
            ", without the proxy of ALL_PROXY (NO_PROXY)",
        ),
        (
            &cleartext,
            &[dead],
            ", without the proxy of HTTPS_PROXY (which is for https)",
        ),
        (
            &cleartext,
            &[socks],
            ", without the proxy of ALL_PROXY (which is for https)",
        ),
        // What is empty counts as unset, and only hides what is named after it where that is usual.
        (
            &upstream,
            &[("HTTPS_PROXY", ""), ("ALL_PROXY", ""), ("SSL_CERT_DIR", "")],
            "from SSL_CERT_FILE\n",
        ),
    ] {
        let mut builder = in_front_of(upstream);
        for (name, value) in env {
            builder = builder.env(*name, *value);
        }
        let proxy = builder.start();
        let banner = proxy.wait_for_stderr("process: ");
        assert!(banner.contains(says), "{says}: {banner}");
        assert_eq!(ask(&proxy).status, 200);
    }
    // That of the scheme comes first; the other one is not needed.
    let recorder = MockUpstream::h1(Reply::new(403));
    let url = format!("http://{}", recorder.addr());
    let proxy = in_front_of(&upstream)
        .env("HTTPS_PROXY", url)
        .env(socks.0, socks.1)
        .start();
    proxy.wait_for_stderr("(HTTPS_PROXY)");
    // A CGI variable does not switch it off.
    let url = format!("http://{}", recorder.addr());
    let proxy = in_front_of(&upstream)
        .env("REQUEST_METHOD", "GET")
        .env("HTTPS_PROXY", url)
        .start();
    proxy.wait_for_stderr("through the proxy");
}

#[test]
fn a_url_that_looks_like_a_base_url_is_hinted_at_and_its_query_is_not_shown() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for (path, whole) in [
        ("", Some("/v1/responses")),
        ("/", Some("/v1/responses")),
        ("/v1", Some("/v1/responses")),
        ("/v1/", Some("/v1/responses")),
        ("/openai/v1?sig=hunter2", Some("/openai/v1/responses?...")),
        ("/v1/responses", None),
        ("/openai/responses?sig=hunter2", None),
    ] {
        let origin = format!("http://{}", upstream.addr());
        let proxy = Proxy::builder(PROXY)
            .upstream_url(&format!("{origin}{path}"))
            .start();
        let banner = proxy.wait_for_stderr("process: ");
        let hint = whole.map(|whole| format!("write --upstream-url {origin}{whole}\n"));
        assert_eq!(
            banner.contains("hint: "),
            hint.is_some(),
            "{path}: {banner}"
        );
        assert!(
            hint.is_none_or(|hint| banner.contains(&hint)),
            "{path}: {banner}"
        );
        assert!(!banner.contains(SECRET), "{banner}");
    }
}
