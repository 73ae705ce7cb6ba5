//! Through the real proxy: the whole of what this project is for.

use codex_test_support::{MockUpstream, Proxy, Reply, TEST_KEY};

use crate::{CODEX, Run, assert_ended, codex};

pub(crate) fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::responses("by the proxy"))
}

pub(crate) fn in_front_of(upstream: &MockUpstream) -> codex_test_support::ProxyBuilder {
    Proxy::builder(CODEX)
        .subcommand("responses-api-proxy")
        .upstream(upstream)
}

#[track_caller]
pub(crate) fn assert_asked(run: &Run, upstream: &MockUpstream) {
    assert_ended(&run.run(), 0, "by the proxy");
    let request = upstream.wait_for_complete(0);
    let expected = format!("Bearer {TEST_KEY}");
    assert_eq!(request.header("authorization"), Some(expected.as_str()));
}

#[test]
fn the_command_of_the_readme_works() {
    let upstream = upstream();
    let proxy = in_front_of(&upstream).start();
    let url = format!(
        "model_providers.local-proxy={{name='local-proxy',base_url='http://127.0.0.1:{}/v1',wire_api='responses'}}",
        proxy.port()
    );
    let run = codex(&["exec", "-c", "model_provider=local-proxy", "-c", &url, "hi"]);
    assert_asked(&run, &upstream);
}

#[test]
fn the_proxy_is_found_by_its_server_info() {
    let upstream = upstream();
    let proxy = in_front_of(&upstream).server_info().start();
    let info = proxy.info_file();
    let info = info.to_str().unwrap();
    assert_asked(&codex(&["exec", "--server-info", info, "hi"]), &upstream);
    let run = codex(&["exec", "-c", "model_provider=local-proxy", "hi"]);
    assert_ended(
        &run.env("CODEX_PROXY_SERVER_INFO", info).run(),
        0,
        "by the proxy",
    );
}

#[test]
fn http_proxy_is_not_used_for_the_local_proxy() {
    let upstream = upstream();
    let elsewhere = MockUpstream::h1(Reply::responses("caught"));
    let proxy = in_front_of(&upstream).server_info().start();
    let info = proxy.info_file();
    let mut run = codex(&["exec", "--server-info", info.to_str().unwrap(), "hi"]);
    let url = format!("http://{}", elsewhere.addr());
    for name in ["http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"] {
        run = run.env(name, &url);
    }
    assert_asked(&run, &upstream);
    assert_eq!(elsewhere.connections(), 0);
}

#[test]
fn other_hosts_are_reached_through_http_proxy() {
    let elsewhere = MockUpstream::h1(Reply::responses("by way of it"));
    let url = format!("http://{}", elsewhere.addr());
    let base = "model_providers.x.base_url='http://host.invalid/v1'";
    let run = codex(&["exec", "-c", "model_provider=x", "-c", base, "hi"]);
    assert_ended(&run.env("HTTP_PROXY", &url).run(), 0, "by way of it");
    let target = elsewhere.wait_for_complete(0).target;
    assert_eq!(target, "http://host.invalid/v1/responses");
}

#[test]
fn a_refusal_of_the_proxy_is_printed() {
    let upstream = upstream();
    let proxy = in_front_of(&upstream).start();
    let url = format!(
        "model_providers.local-proxy.base_url='http://127.0.0.1:{}/v2'",
        proxy.port()
    );
    let output = codex(&["exec", "-c", "model_provider=local-proxy", "-c", &url, "hi"]).run();
    assert_ended(&output, 1, "");
    assert!(
        output
            .stderr
            .contains("403 Forbidden: POST /v2/responses is not served here"),
        "{}",
        output.stderr
    );
}

#[cfg(unix)]
#[test]
fn the_proxy_is_reached_by_a_unix_socket() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let info = directory.path().join("info.json");
    let mut proxy = in_front_of(&upstream)
        .args(["--listen", &format!("unix:{}", socket.display())])
        .args(["--server-info", info.to_str().unwrap()])
        .spawn();
    proxy.wait_for_stderr("listening on unix:");
    let run = codex(&["exec", "--server-info", info.to_str().unwrap(), "hi"]);
    assert_asked(&run, &upstream);
    assert!(proxy.is_running());
}

/// The listener may be nobody that is seen here, such as whoever passed the socket into a container.
#[cfg(target_os = "linux")]
#[test]
fn a_unix_socket_is_its_user_s_where_the_listener_cannot_be_seen() {
    use std::os::unix::fs::MetadataExt;

    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let namespace = ["--pid", "--fork"];
    let tried = std::process::Command::new("unshare")
        .args(namespace)
        .arg("true")
        .status();
    if !is_root || !tried.is_ok_and(|status| status.success()) {
        return codex_test_support::skipped("needs root and unshare");
    }
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let info = directory.path().join("info.json");
    let proxy = in_front_of(&upstream)
        .args(["--listen", &format!("unix:{}", socket.display())])
        .args(["--server-info", info.to_str().unwrap()])
        .spawn();
    proxy.wait_for_stderr("listening on unix:");
    let run = codex(&["exec", "--server-info", info.to_str().unwrap(), "hi"]);
    // With the /proc of the host, where the proxy is.
    let program = run.start_by("unshare", &[&namespace[..], &[CODEX]].concat());
    assert_ended(&program.wait_exit(), 0, "by the proxy");
}

#[test]
fn the_client_token_of_the_server_info_is_sent() {
    let upstream = upstream();
    let proxy = in_front_of(&upstream)
        .arg("--require-client-token")
        .server_info()
        .start();
    let info = proxy.info_file();
    assert_asked(
        &codex(&["exec", "--server-info", info.to_str().unwrap(), "hi"]),
        &upstream,
    );
    let url = format!(
        "model_providers.x.base_url='http://127.0.0.1:{}/v1'",
        proxy.port()
    );
    let output = codex(&["exec", "-c", "model_provider=x", "-c", &url, "hi"]).run();
    assert_ended(&output, 1, "");
    assert!(output.stderr.contains("401"), "{}", output.stderr);
}

#[cfg(target_os = "linux")]
#[test]
fn root_has_the_key_and_another_user_uses_it() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let setpriv = std::process::Command::new("setpriv")
        .arg("--version")
        .output();
    if !is_root || setpriv.is_err() {
        return codex_test_support::skipped("needs root and setpriv");
    }
    let upstream = upstream();
    let proxy = in_front_of(&upstream).start();
    let url = format!(
        "model_providers.local-proxy.base_url='http://127.0.0.1:{}/v1'",
        proxy.port()
    );
    // The binary may lie where only root can go; its home may not.
    let dir = tempfile::Builder::new()
        .prefix("exec-")
        .tempdir_in("/tmp")
        .unwrap();
    let program = dir.path().join("codex");
    // Not by this process: what another thread starts meanwhile would hold the new file open, and
    // it could not be run.
    let copied = std::process::Command::new("cp")
        .args([CODEX, program.to_str().unwrap()])
        .status();
    assert!(copied.unwrap().success());
    // The program as it is to be installed: run by everybody, read by root alone.
    for (path, mode) in [(dir.path(), 0o755), (program.as_path(), 0o711)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    let run = codex(&["exec", "-c", "model_provider=local-proxy", "-c", &url, "hi"]);
    std::fs::set_permissions(run.home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let other = ["--reuid", "65534", "--regid", "65534", "--clear-groups"];
    let before: Vec<&str> = other
        .into_iter()
        .chain([program.to_str().unwrap()])
        .collect();
    for words in [
        &["completion", "bash"][..],
        &["--version"],
        &["exec", "--help"],
    ] {
        let output = std::process::Command::new("setpriv")
            .args(&before)
            .args(words)
            .output();
        assert!(output.unwrap().status.success(), "{words:?}");
    }
    let run = run.env("HOME", "/nonexistent");
    let output = run.start_by("setpriv", &before).wait_exit();
    assert_ended(&output, 0, "by the proxy");
    let expected = format!("Bearer {TEST_KEY}");
    assert_eq!(
        upstream.wait_for_complete(0).header("authorization"),
        Some(expected.as_str())
    );
}

#[test]
fn codex_proxy_server_info_is_enough_where_no_provider_is_configured() {
    let upstream = upstream();
    let proxy = in_front_of(&upstream).server_info().start();
    let info = proxy.info_file().to_str().unwrap().to_owned();
    let run = codex(&["exec", "hi"]).env("CODEX_PROXY_SERVER_INFO", &info);
    assert_asked(&run, &upstream);
    // A provider that is configured overrides it.
    let run = run.file("config.toml", "model_provider = 'openai'");
    let output = run.run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains("OPENAI_API_KEY"),
        "{}",
        output.stderr
    );
}

#[test]
fn a_proxy_of_the_environment_that_fails_is_named() {
    let port = codex_test_support::RefusedPort::new();
    let host = port
        .url()
        .replace("http://", "")
        .replace("/v1/responses", "");
    let base = "model_providers.x={base_url='http://host.invalid/v1',request_max_retries=0}";
    let run = codex(&["exec", "-c", "model_provider=x", "-c", base, "hi"]);
    let output = run.env("HTTP_PROXY", &format!("http://me:pw@{host}")).run();
    assert_ended(&output, 1, "");
    assert!(
        output.stderr.contains(&format!("by the proxy {host}")),
        "{}",
        output.stderr
    );
    assert!(!output.stderr.contains("pw"), "{}", output.stderr);
}

#[test]
fn https_proxy_is_not_used_for_loopback() {
    let upstream = MockUpstream::tls_h1(Reply::responses("by the proxy"));
    let elsewhere = MockUpstream::h1(Reply::responses("caught"));
    let roots = upstream.ca_file().to_str().unwrap().to_owned();
    let proxy = format!("http://{}", elsewhere.addr());
    let run = crate::ask(&upstream)
        .env("SSL_CERT_FILE", &roots)
        .env("HTTPS_PROXY", &proxy)
        .env("https_proxy", &proxy);
    assert_ended(&run.run(), 0, "by the proxy");
    assert_eq!(elsewhere.connections(), 0);
}
