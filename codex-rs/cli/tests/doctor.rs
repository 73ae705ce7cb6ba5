//! `codex doctor`: what the client's configuration comes to.
#![cfg(target_os = "linux")]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::net::TcpListener;

use codex_test_support::{MockUpstream, Proxy, Reply, run_to_exit};
use serde_json::Value;

const CODEX: &str = env!("CARGO_BIN_EXE_codex");

const KEY: &str = "sk-other-0123456789abcdefghij";

/// What it says with this `config.toml`; `{PORT}` in it is a port on which somebody listens.
fn examine(config: &str, args: &[&str], env: &[(&str, &str)]) -> (Option<i32>, Value) {
    let home = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    fs::write(
        home.path().join("config.toml"),
        config.replace("{PORT}", &port),
    )
    .unwrap();
    let mut env = env.to_vec();
    env.push(("CODEX_HOME", home.path().to_str().unwrap()));
    let output = run_to_exit(CODEX, &[args, &["--json"]].concat(), &env, b"");
    assert!(!output.stdout.contains(KEY), "{}", output.stdout);
    (output.code, serde_json::from_str(&output.stdout).unwrap())
}

#[track_caller]
fn check<'a>(object: &'a Value, name: &str) -> (&'a str, &'a str) {
    let mut checks = object["checks"].as_array().unwrap().iter();
    let found = checks.find(|check| check["check"] == name);
    let found = found.unwrap_or_else(|| panic!("no {name} in {object}"));
    (
        found["state"].as_str().unwrap(),
        found["found"].as_str().unwrap(),
    )
}

/// A provider on this host, with more in its table.
fn provider(more: &str) -> String {
    format!(
        "model_provider = 'p'\n[model_providers.p]\nname = 'p'\nbase_url = 'http://127.0.0.1:{{PORT}}/v1'\n{more}\n"
    )
}

#[test]
fn doctor_says_where_the_client_s_requests_go() {
    let token = "0123456789abcdef".repeat(4);
    for (config, env, name, state, says) in [
        (
            provider(""),
            None,
            "client.provider",
            "ok",
            "where somebody listens",
        ),
        (
            provider("").replace("{PORT}", "1"),
            None,
            "client.provider",
            "failed",
            "nobody answers there",
        ),
        (
            provider("").replace("http://127.0.0.1:{PORT}", "https://api.example"),
            None,
            "client.provider",
            "failed",
            "requests go to https://api.example/v1/responses",
        ),
        (
            provider("wire_api = 'chat'"),
            None,
            "client.config",
            "failed",
            "wire_api",
        ),
        (
            "model = [".to_owned(),
            None,
            "client.config",
            "failed",
            "config.toml:1",
        ),
        (
            provider("env_key = 'MY_KEY'"),
            Some(("MY_KEY", KEY)),
            "client.credential",
            "failed",
            "MY_KEY",
        ),
        (
            provider("env_key = 'MY_TOKEN'"),
            Some(("MY_TOKEN", token.as_str())),
            "client.credential",
            "ok",
            "MY_TOKEN",
        ),
        (
            provider(&format!("experimental_bearer_token = '{KEY}'")),
            None,
            "client.files",
            "failed",
            "model_providers.p.experimental_bearer_token",
        ),
        (
            provider(&format!(
                "http_headers = {{ authorization = 'Bearer {KEY}' }}"
            )),
            None,
            "client.files",
            "failed",
            "model_providers.p.http_headers",
        ),
        (
            String::new(),
            None,
            "client.provider",
            "warning",
            "OPENAI_API_KEY",
        ),
        (
            String::new(),
            Some(("OPENAI_API_KEY", KEY)),
            "client.provider",
            "failed",
            "https://api.openai.com",
        ),
    ] {
        let env: Vec<(&str, &str)> = env.into_iter().collect();
        let (code, object) = examine(&config, &["doctor"], &env);
        let found = check(&object, name);
        assert_eq!(found.0, state, "{config}: {found:?}");
        assert!(found.1.contains(says), "{config}: {found:?}");
        if state == "failed" {
            assert_eq!(code, Some(1));
        }
    }
}

#[test]
fn doctor_follows_the_client_to_the_proxy_that_runs_under_both_names() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = Proxy::builder(CODEX)
        .subcommand("responses-api-proxy")
        .upstream(&upstream)
        .server_info()
        .start();
    let info = proxy.info_file();
    let info = info.to_str().unwrap();
    for args in [
        &["doctor", "--server-info", info][..],
        &["responses-api-proxy", "doctor", "--server-info", info],
    ] {
        let (_, object) = examine("", args, &[]);
        let (state, found) = check(&object, "client.provider");
        assert_eq!(state, "ok", "{found}");
        assert!(found.contains("\"local-proxy\""), "{found}");
        assert!(found.ends_with("where the proxy listens"), "{found}");
        assert_eq!(check(&object, "proxy.running").0, "ok");
    }
    let named = [("CODEX_PROXY_SERVER_INFO", info)];
    let (_, object) = examine("", &["doctor"], &named);
    assert_eq!(check(&object, "client.provider").0, "ok");
    assert_eq!(check(&object, "proxy.running").0, "ok");
}
