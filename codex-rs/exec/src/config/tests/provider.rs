//! Where requests go, and with which credential.

use super::*;
use crate::config::layer::Secret;

fn provider(host: &Host, overrides: &[&str]) -> Provider {
    host.load(&Common::default(), overrides).unwrap().provider
}

fn header<'a>(provider: &'a Provider, name: &str) -> Option<&'a str> {
    provider
        .headers
        .get(name)
        .map(|value| value.to_str().unwrap())
}

#[test]
fn every_key_of_a_provider_counts() {
    let host = Host::new(&[("config.toml", P)])
        .set("KEY", " k\n")
        .set("FIELD", "f");
    let found = provider(
        &host,
        &[
            "model_providers.p.env_key=KEY",
            "model_providers.p.http_headers={X-One='1'}",
            "model_providers.p.env_http_headers={X-Two='FIELD', X-Three='UNSET'}",
            "model_providers.p.query_params={a='1 2', b='&'}",
            "model_providers.p.request_max_retries=7",
            "model_providers.p.stream_max_retries=100000",
            "model_providers.p.stream_idle_timeout_ms=1500",
        ],
    );
    assert_eq!(
        found.url.as_str(),
        "http://localhost:1/v1/responses?a=1+2&b=%26"
    );
    assert_eq!(header(&found, "authorization"), Some("Bearer k"));
    assert_eq!(header(&found, "x-one"), Some("1"));
    assert_eq!(header(&found, "x-two"), Some("f"));
    assert_eq!(header(&found, "x-three"), None);
    assert!(found.headers.values().all(http::HeaderValue::is_sensitive));
    assert_eq!(
        (found.request_max_retries, found.stream_max_retries),
        (7, 100)
    );
    assert_eq!(found.idle_timeout.as_millis(), 1500);
    let token = provider(&host, &["model_providers.p.experimental_bearer_token=t"]);
    assert_eq!(header(&token, "authorization"), Some("Bearer t"));
    assert_eq!(
        (token.request_max_retries, token.stream_max_retries),
        (4, 5)
    );
    assert_eq!(token.idle_timeout.as_secs(), 300);
}

#[test]
fn openai_is_built_in() {
    let host = Host::new(&[]).set("OPENAI_API_KEY", "k");
    let found = provider(&host, &[]);
    assert_eq!(found.url.as_str(), "https://api.openai.com/v1/responses");
    assert_eq!(header(&found, "authorization"), Some("Bearer k"));
    let host = host.set("CODEX_API_KEY", "c");
    let found = provider(&host, &["openai_base_url='https://eu.api.openai.com/v1'"]);
    assert_eq!(found.url.as_str(), "https://eu.api.openai.com/v1/responses");
    assert_eq!(header(&found, "authorization"), Some("Bearer c"));
}

#[test]
fn a_key_of_openai_is_for_who_requires_it() {
    let host = Host::new(&[("config.toml", P)]);
    let required = ["model_providers.p.requires_openai_auth=true"];
    // As in Codex, nothing is missing without one.
    assert_eq!(header(&provider(&host, &required), "authorization"), None);
    let host = host.set("OPENAI_API_KEY", "o");
    let found = provider(&host, &required);
    assert_eq!(header(&found, "authorization"), Some("Bearer o"));
    assert_eq!(header(&provider(&host, &[]), "authorization"), None);
    let host = host.set("CODEX_API_KEY", "c").set("KEY", "k");
    let found = provider(&host, &required);
    assert_eq!(header(&found, "authorization"), Some("Bearer c"));
    let both = [required[0], "model_providers.p.env_key=KEY"];
    let found = provider(&host, &both);
    assert_eq!(header(&found, "authorization"), Some("Bearer k"));
    let far = [
        required[0],
        "model_providers.p.base_url='http://10.0.0.1/v1'",
    ];
    let error = host.load(&Common::default(), &far).unwrap_err();
    assert!(error.contains("in cleartext to"), "{error}");
    let command = ["model_providers.p.auth={command='print-key'}"];
    let error = host.load(&Common::default(), &command).unwrap_err();
    assert!(error.contains("gets the key from a command"), "{error}");
}

#[test]
fn a_credential_never_crosses_a_network_in_clear() {
    let host = Host::new(&[]).set("KEY", "secret");
    let with = |base: &str, more: &str| {
        let base = format!("model_providers.p.base_url='{base}'");
        let overrides = ["model_provider=p", &base, more];
        host.load(&Common::default(), &overrides)
    };
    for credential in [
        "model_providers.p.env_key=KEY",
        "model_providers.p.experimental_bearer_token=secret",
        "model_providers.p.http_headers={api-key='secret'}",
        "model_providers.p.http_headers={ocp-apim-subscription='secret'}",
        "model_providers.p.env_http_headers={x-anything='KEY'}",
        "model_providers.p.query_params={Api-Key='secret'}",
        "model_providers.p.query_params={code='secret'}",
    ] {
        for base in [
            "http://10.0.0.1/v1",
            "http://localhost.example/v1",
            "http://127.0.0.1.example/",
        ] {
            let error = with(base, credential).unwrap_err();
            assert!(error.contains("in cleartext to http://"), "{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        for base in [
            "https://10.0.0.1/v1",
            "http://localhost/v1",
            "http://127.1.2.3/v1",
            "http://[::1]:9/",
        ] {
            assert!(with(base, credential).is_ok(), "{base}");
        }
    }
    assert!(
        with(
            "http://10.0.0.1/v1",
            "model_providers.p.http_headers={User-Agent='a'}"
        )
        .is_ok()
    );
    let error = with("http://10.0.0.1/v1?sig=secret", "model=a").unwrap_err();
    assert!(
        error.contains("in cleartext to http://10.0.0.1;"),
        "{error}"
    );
}

#[test]
fn a_proxy_is_found_by_its_server_info() {
    let info = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        info.path(),
        "{\"port\":4321,\"pid\":1,\"client_token\":\"t\"}\n",
    )
    .unwrap();
    let path = info.path().to_str().unwrap();
    let table = "model_providers.local-proxy.base_url='http://127.0.0.1:9/v1'";
    let flag = Common {
        server_info: Some(info.path().to_owned()),
        ..Common::default()
    };
    let url = |host: &Host, args: &Common, overrides: &[&str]| {
        let provider = host.load(args, overrides).unwrap().provider;
        (
            provider.url.port(),
            header(&provider, "authorization").map(str::to_owned),
        )
    };
    let token = Some("Bearer t".to_owned());
    let host = Host::new(&[]);
    // The flag alone is enough, and overrides a table.
    assert_eq!(url(&host, &flag, &[]), (Some(4321), token.clone()));
    let both = ["model_provider=local-proxy", table];
    assert_eq!(url(&host, &flag, &both), (Some(4321), token.clone()));
    // The variable is enough where no provider is chosen, and gives way to a table.
    let host = host.set("CODEX_PROXY_SERVER_INFO", path);
    let chosen = ["model_provider=local-proxy"];
    let found = (Some(4321), token);
    assert_eq!(url(&host, &Common::default(), &chosen), found);
    assert_eq!(url(&host, &Common::default(), &[]), found);
    assert_eq!(url(&host, &Common::default(), &both), (Some(9), None));
    for openai in [
        "model_provider=openai",
        "openai_base_url='https://eu.api.openai.com/v1'",
    ] {
        let error = host.load(&Common::default(), &[openai]).unwrap_err();
        assert!(error.contains("OPENAI_API_KEY"), "{error}");
    }
    // It is the strongest source: a provider that is configured gives way.
    let configured = Host::new(&[("config.toml", P)]);
    assert_eq!(url(&configured, &flag, &[]).0, Some(4321));
    assert_eq!(url(&configured, &flag, &["model_provider=p"]).0, Some(4321));

    fs::write(info.path(), "{\"pid\":1,\"socket\":\"/run/s\"}\n").unwrap();
    let provider = host.load(&flag, &[]).unwrap().provider;
    assert_eq!(provider.socket.as_deref(), Some(Path::new("/run/s")));
    assert_eq!(provider.url.as_str(), "http://localhost/v1/responses");
}

#[test]
fn an_account_of_openai_is_named_in_its_fields() {
    let host = Host::new(&[])
        .set("OPENAI_API_KEY", "key-of-openai")
        .set("OPENAI_ORGANIZATION", "org-1")
        .set("OPENAI_PROJECT", "proj_1");
    let openai = provider(&host, &[]);
    assert_eq!(header(&openai, "openai-organization"), Some("org-1"));
    assert_eq!(header(&openai, "openai-project"), Some("proj_1"));
    let other = format!("{P}model_providers.p.env_key = 'OPENAI_API_KEY'");
    let other = Host::new(&[("config.toml", &other)])
        .set("OPENAI_API_KEY", "key-of-openai")
        .set("OPENAI_PROJECT", "proj_1");
    assert_eq!(header(&provider(&other, &[]), "openai-project"), None);
}

#[test]
fn a_secret_is_the_credential_what_comes_from_the_environment_and_what_is_named_so() {
    let file = format!(
        "{P}[model_providers.p]\nenv_key = 'KEY'\n\
         http_headers = {{ X-Title = 'assistant', X-Api-Key = 'by-its-name', X-Author = 'completed' }}\n\
         env_http_headers = {{ X-Team = 'TEAM' }}\n\
         query_params = {{ api-version = '2025-04-01-preview', subscription-key = 'in-the-query' }}"
    );
    let file = file.replace("model_providers.p.base_url = ", "#");
    let file = file.replace(
        "[model_providers.p]",
        "[model_providers.p]\nbase_url = 'http://localhost:1/v1'",
    );
    let host = Host::new(&[("config.toml", &file)])
        .set("KEY", "the-key")
        .set("TEAM", "the-team");
    let provider = provider(&host, &[]);
    let mut secrets: Vec<&str> = provider.secrets.iter().map(Secret::expose).collect();
    secrets.sort_unstable();
    assert_eq!(
        secrets,
        ["Bearer the-key", "by-its-name", "in-the-query", "the-team"]
    );
}
