//! Requests that go up with access tokens, which expire and are got anew.

use std::time::{Duration, Instant};

use codex_test_support::{
    Client, IdentityServers, IdentityTokens, MockUpstream, Proxy, ProxyBuilder, RecordedRequest,
    Reply, Stdin, WAIT_TIMEOUT, assert_openai_error, skipped,
};
use serde_json::json;

use crate::custody::strictest_sandbox;
use crate::{PROXY, RESPONSES, ask};

/// GitHub's job token on standard input, exchanged at these servers for tokens of this upstream.
fn as_a_job(
    servers: &IdentityServers,
    upstream: &MockUpstream,
    dir: &tempfile::TempDir,
) -> ProxyBuilder {
    let ca = dir.path().join("ca.pem");
    servers.write_ca_with(upstream, &ca);
    let tokens = servers.tokens();
    Proxy::builder(PROXY)
        .args(["--upstream-url", &upstream.url()])
        .env("SSL_CERT_FILE", ca)
        .args(["--github-oidc", "--github-oidc-host", "127.0.0.1"])
        .args(["--github-oidc-request-url", &servers.github_url()])
        .args(["--oidc-audience", &tokens.audience])
        .args(["--identity-provider-id", &tokens.provider])
        .args(["--service-account-id", &tokens.account])
        .args(["--token-exchange-url", &servers.exchange_url()])
        .stdin(Stdin::Bytes(format!("{}\n", tokens.request).into_bytes()))
}

fn servers() -> IdentityServers {
    IdentityServers::new(IdentityTokens::default())
}

/// The numbers of the tokens that requests went up with.
fn numbers(upstream: &MockUpstream, servers: &IdentityServers) -> Vec<usize> {
    let prefix = format!("Bearer {}", servers.tokens().access);
    let number = |value: &str| value.strip_prefix(&prefix)?.parse().ok();
    let requests = upstream.requests();
    let values = requests
        .iter()
        .map(|request| request.header("authorization").unwrap());
    values.map(|value| number(value).unwrap()).collect()
}

fn assert_no_copy(proxy: &Proxy, tokens: &IdentityTokens) {
    if !proxy.wait_for_stderr("key: ").contains("memfd_secret") {
        return skipped("the memory of tokens is anonymous, and root can read it");
    }
    for token in [&tokens.request, &tokens.subject, &tokens.access] {
        match proxy.copies_in_memory(token.as_bytes()) {
            Ok(found) => assert_eq!(found, [], "copies of {token}"),
            Err(error) => return skipped(&format!("memory cannot be read: {error}")),
        }
    }
}

#[test]
fn a_job_calls_with_an_access_token_and_no_token_stays_in_memory() {
    for upstream in [
        MockUpstream::tls_h1(Reply::responses("hi")),
        MockUpstream::h2(Reply::responses("hi")),
    ] {
        let (servers, dir) = (servers(), tempfile::tempdir().unwrap());
        let proxy = as_a_job(&servers, &upstream, &dir)
            .args(["--sandbox", strictest_sandbox()])
            .start();
        proxy.wait_for_stderr("\ncredential: the GitHub OIDC token request (127.0.0.1:");
        for _ in 0..20 {
            assert_eq!(ask(&proxy).status, 200);
        }
        assert_eq!(numbers(&upstream, &servers), [1; 20]);
        assert_no_copy(&proxy, servers.tokens());
    }
}

#[test]
fn a_bad_identity_is_the_end_before_anybody_can_connect() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    for (reply, says) in [
        (
            Reply::json(
                401,
                &json!({"error": "invalid_grant", "error_description": "no mapping for this subject"}),
            ),
            "no mapping for this subject",
        ),
        (
            Reply::json(200, &json!({"access_token": "at", "expires_in": 0})),
            "expires_in",
        ),
        (
            Reply::redirect(307, "https://elsewhere.example/"),
            "redirects are not followed",
        ),
        (
            Reply::bytes(200, "application/json", vec![b' '; 70_000]),
            "longer than 64 KiB",
        ),
    ] {
        let (servers, dir) = (servers(), tempfile::tempdir().unwrap());
        servers.exchange(reply);
        let mut proxy = as_a_job(&servers, &upstream, &dir).server_info().spawn();
        let status = proxy.wait_exit();
        let said = proxy.stderr_so_far();
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains("Error: the token exchange at "), "{said}");
        assert!(said.contains(says), "{said}");
        assert!(!said.contains("listening"), "{said}");
        assert!(!proxy.info_file().exists());
        let tokens = servers.tokens();
        for token in [&tokens.request, &tokens.subject, &tokens.access] {
            assert!(!said.contains(&token[..12]), "{said}");
        }
    }
}

#[test]
fn tokens_of_seconds_lose_no_request() {
    const FOR: Duration = Duration::from_secs(12);
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let (servers, dir) = (servers(), tempfile::tempdir().unwrap());
    servers.tokens_last(5);
    let proxy = as_a_job(&servers, &upstream, &dir).start();
    let begun = Instant::now();
    std::thread::scope(|threads| {
        for _ in 0..4 {
            threads.spawn(|| {
                let mut client = proxy.client();
                while begun.elapsed() < FOR {
                    assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
                }
            });
        }
    });
    let numbers = numbers(&upstream, &servers);
    assert!(
        numbers.last() > Some(&3) && numbers.last() < Some(&9),
        "{:?}",
        numbers.last()
    );
    // One that stays: while another is being got it is on its way through memory.
    servers.tokens_last(3_600);
    let (last, until) = (numbers.last().copied(), Instant::now() + WAIT_TIMEOUT);
    while self::numbers(&upstream, &servers).last().copied() == last {
        assert!(
            Instant::now() < until,
            "no other token within {WAIT_TIMEOUT:?}"
        );
        assert_eq!(ask(&proxy).status, 200);
    }
    for _ in 0..20 {
        assert_eq!(ask(&proxy).status, 200);
    }
    assert_no_copy(&proxy, servers.tokens());
}

/// The token was revoked: the next request gets a new one, and all that come meanwhile wait for that.
#[test]
fn a_thousand_requests_at_once_make_one_exchange() {
    let revoked = |request: &RecordedRequest| match request.text().as_str() {
        "revoked" => Reply::json(401, &json!({"error": {"message": "revoked"}})),
        _ => Reply::responses("hi"),
    };
    let upstream = MockUpstream::builder().h2().handler(revoked).start();
    let (servers, dir) = (servers(), tempfile::tempdir().unwrap());
    let proxy = as_a_job(&servers, &upstream, &dir).start();
    let answer = proxy.client().post(RESPONSES, &[], "revoked").read_answer();
    assert_eq!(answer.status, 401);
    proxy.wait_for_stderr("the upstream refuses the access token (401)");
    let mut clients: Vec<Client> = (0..1_000).map(|_| proxy.client()).collect();
    for client in &mut clients {
        client.post(RESPONSES, &[], "{}");
    }
    for client in &mut clients {
        assert_eq!(client.read_answer().status, 200);
    }
    assert_eq!(servers.exchanges(), 2);
    let numbers = numbers(&upstream, &servers);
    assert_eq!(numbers[1..], [2; 1_000]);
}

#[test]
fn without_an_exchange_a_token_serves_until_it_expires_and_then_the_reason_is_told() {
    let upstream = MockUpstream::tls_h1(Reply::responses("hi"));
    let (servers, dir) = (servers(), tempfile::tempdir().unwrap());
    servers.tokens_last(4);
    let proxy = as_a_job(&servers, &upstream, &dir).start();
    let down = json!({"error": "temporarily_unavailable", "error_description": "back soon"});
    servers.exchange(Reply::json(503, &down));
    let said = proxy.wait_for_stderr("the present access token is good for");
    assert!(said.contains("answered 503"), "{said}");
    assert_eq!(ask(&proxy).status, 200);
    let refused = loop {
        let answer = ask(&proxy);
        if answer.status != 200 {
            break answer;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_openai_error(&refused, 502, "credential_unavailable");
    assert!(refused.text().contains("back soon"), "{}", refused.text());
    servers.exchange(None);
    // Requests have it tried again, each wait allowing.
    while ask(&proxy).status != 200 {
        std::thread::sleep(Duration::from_millis(50));
    }
    proxy.wait_for_stderr("a new access token is there");
}
