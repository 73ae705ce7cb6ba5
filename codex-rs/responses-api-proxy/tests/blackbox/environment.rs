//! What is set is in force or refused: every flag and every variable, and what the start-up lines say of them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codex_test_support::{MockUpstream, Output, Proxy, Reply, TEST_KEY, run_to_exit};

use crate::custody::is_root;
use crate::{PROXY, ask, in_front_of};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names in the first column of the table, in its order, and the rest of their rows.
fn table() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let (_, part) = text.split_once("## Every flag and variable").unwrap();
    let part = part.split("\n## ").next().unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let (names, rest) = row[2..].split_once(" | ").unwrap();
        let names = names.split('`').skip(1).step_by(2).map(str::to_owned);
        let rest = rest.to_owned();
        names
            .map(move |name| (name, rest.clone()))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn help() -> String {
    run_to_exit(PROXY, &["--help"], &[], b"").stdout
}

/// The flags that `--help` has, and whether each takes a value.
fn flags() -> Vec<(String, bool)> {
    let help = help();
    let lines = help.lines().map(str::trim_start);
    let flags =
        lines.filter_map(|line| line.strip_prefix("-h, ").unwrap_or(line).strip_prefix("--"));
    let flags = flags.map(|line| line.strip_prefix("-V, ").unwrap_or(line));
    flags
        .map(|line| {
            let name = line.split([' ', '\n']).next().unwrap();
            (format!("--{name}"), line.contains('<'))
        })
        .filter(|(name, _)| name != "--help" && name != "--version")
        .collect()
}

/// The variables that the code reads: those that have a name in an `environment.rs`, the only files that read any; but
/// for `SUDO_UID`, which is there too.
fn variables() -> BTreeSet<String> {
    let mut files = Vec::new();
    for of in [
        "responses-api-proxy",
        "deadline",
        "outbound",
        "process-hardening",
        "secret-memory",
        "server-info",
        "trusted-path",
    ] {
        sources(&root().join("codex-rs").join(of).join("src"), &mut files);
    }
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "environment.rs" {
            let constants = code.lines().filter(|line| line.contains("const "));
            let quoted = constants.flat_map(|line| line.split('"').skip(1).step_by(2));
            found.extend(quoted.map(str::to_owned));
        } else if name == "trusted.rs" {
            assert_eq!(code.matches("env::var").count(), 1);
            assert!(code.contains(r#"env::var("SUDO_UID")"#));
        } else {
            for call in ["env::var", "env::vars", "getenv("] {
                assert!(!code.contains(call), "{} calls {call}", file.display());
            }
        }
    }
    found
}

fn sources(of: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_flag_and_variable_of_the_code_is_in_the_table_and_the_other_way_round() {
    let named: Vec<String> = table().into_iter().map(|(name, _)| name).collect();
    let once: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(once.len(), named.len(), "a name stands there twice");
    let flags = flags().into_iter().map(|(flag, _)| flag);
    let read: BTreeSet<String> = flags.chain(variables()).collect();
    assert!(read.len() > 30, "found only {read:?}");
    assert_eq!(once, read);
    // And `--help` names every variable that one would set on purpose.
    let help = help();
    for name in [
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ] {
        assert!(help.contains(name), "{name}");
    }
}

/// Has `hunter2` in it wherever a value could have a secret in it.
const SECRET: &str = "hunter2";

fn start_with(env: &[(&str, &str)]) -> Output {
    let ca = MockUpstream::h2(Reply::silence());
    let ca_file = ca.ca_file();
    let mut with_ca = vec![("SSL_CERT_FILE", ca_file.to_str().unwrap())];
    with_ca.retain(|(name, _)| env.iter().all(|(other, _)| other != name));
    with_ca.extend(env);
    run_to_exit(PROXY, &[], &with_ca, TEST_KEY.as_bytes())
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
        "SUDO_UID" => (&["hunter2", "-1", "1000 "], &[]),
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
        for value in values {
            let env: Vec<_> = besides
                .iter()
                .copied()
                .chain([(variable.as_str(), *value)])
                .collect();
            let output = start_with(&env);
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
fn what_is_no_text_or_says_two_things_is_refused_too() {
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
        if !takes_value {
            continue;
        }
        let mut args = vec![flag.as_str()];
        args.push(match flag.as_str() {
            "--upstream-url" => "https://alice:hunter2@host/",
            "--server-info" => "/dev/null/x",
            "--client-token-file" => "/nowhere",
            "--allow-user" | "--allow-group" | "--user" | "--upstream-user" | "--socket-group" => {
                "no-such-name-here"
            }
            _ => "bad value",
        });
        if flag.starts_with("--socket") {
            args.extend(["--listen", "unix:/nowhere/s"]);
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
fn a_user_and_a_password_reach_the_proxy_as_they_were_meant_and_nobody_else() {
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
