//! Exchanges over real sockets, with the scripted servers.

use std::sync::Arc;

use codex_outbound::http_proxy::{HttpProxy, Way};
use codex_test_support::{Gate, IdentityServers, IdentityTokens, MockUpstream, Reply, Scanner};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::json;
use url::Url;

mod connections;

use super::*;

struct Exchanged {
    outcome: Result<(String, Duration), ExchangeError>,
}

fn servers() -> IdentityServers {
    IdentityServers::new(IdentityTokens::default())
}

fn github(servers: &IdentityServers) -> SubjectSource {
    let audience = "&audience=https%3A%2F%2Fapi.openai.com%2Fv1%20test";
    SubjectSource::GitHub(Url::parse(&(servers.github_url() + audience)).unwrap())
}

fn metadata(servers: &IdentityServers, path: &str) -> Url {
    Url::parse(&format!("http://{}/{path}", servers.metadata_address())).unwrap()
}

fn azure(servers: &IdentityServers) -> SubjectSource {
    let query = "api-version=2018-02-01&resource=api%3A%2F%2Fopenai";
    let path = format!("metadata/identity/oauth2/token?{query}");
    SubjectSource::Azure(metadata(servers, &path))
}

fn google(servers: &IdentityServers) -> SubjectSource {
    let path = "computeMetadata/v1/instance/service-accounts/default/identity\
                ?audience=https%3A%2F%2Fapi.openai.com%2Fv1%20test";
    SubjectSource::Google(metadata(servers, path))
}

fn identity(
    servers: &IdentityServers,
    subject: SubjectSource,
    way: impl Fn() -> Way,
) -> WorkloadIdentity {
    let mut roots = RootCertStore::empty();
    let ca = CertificateDer::from_pem_file(servers.ca_file()).unwrap();
    roots.add(ca).unwrap();
    let tokens = servers.tokens();
    let config = WorkloadConfig {
        subject,
        identity_provider_id: tokens.provider.clone(),
        service_account_id: tokens.account.clone(),
        exchange_url: Url::parse(&servers.exchange_url()).unwrap(),
    };
    WorkloadIdentity::trusting(Arc::new(roots), config, |_| Ok(way())).unwrap()
}

/// One exchange. Whatever comes of it, no token is left where it does not belong, nor in the error.
async fn exchange_by(servers: &IdentityServers, identity: &WorkloadIdentity) -> Exchanged {
    let tokens = servers.tokens();
    let client = identity.client(Resolver::absent()).unwrap();
    let (mut scratch, mut into) = (vec![1; MAX_TOKEN], vec![1; MAX_TOKEN]);
    let outcome = client
        .exchange(tokens.request.as_bytes(), &mut scratch, &mut into)
        .await;
    assert!(scratch.iter().all(|&byte| byte == 0));
    if let Err(error) = &outcome {
        assert!(into.iter().all(|&byte| byte == 0));
        has_no_token(error.to_string(), tokens.clone());
    }
    let text = |obtained: Obtained| {
        let token = String::from_utf8(into[..obtained.len].to_vec()).unwrap();
        (token, obtained.lifetime)
    };
    Exchanged {
        outcome: outcome.map(text),
    }
}

/// On a thread of its own: the scanner's HPACK encoder has a runtime.
fn has_no_token(text: String, tokens: IdentityTokens) {
    let scan = move || {
        for token in [&tokens.request, &tokens.subject, &tokens.access] {
            Scanner::for_key(token.as_bytes()).assert_clean(text.as_bytes(), "an error");
        }
    };
    std::thread::spawn(scan).join().unwrap();
}

async fn exchange(servers: &IdentityServers, subject: SubjectSource) -> Exchanged {
    exchange_by(servers, &identity(servers, subject, || Way::Direct)).await
}

impl Exchanged {
    #[track_caller]
    fn is(self, servers: &IdentityServers, number: usize) {
        let token = format!("{}{number}", servers.tokens().access);
        assert_eq!(self.outcome, Ok((token, Duration::from_secs(3600))));
    }

    #[track_caller]
    fn says(self, wanted: &str) -> ExchangeError {
        let error = self.outcome.expect_err(wanted);
        assert!(error.to_string().contains(wanted), "{error} lacks {wanted}");
        error
    }
}

#[tokio::test]
async fn every_identity_is_exchanged_and_no_connection_is_left() {
    let servers = servers();
    exchange(&servers, github(&servers)).await.is(&servers, 1);
    exchange(&servers, azure(&servers)).await.is(&servers, 2);
    exchange(&servers, google(&servers)).await.is(&servers, 3);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    for (number, around) in [(4, ""), (5, "\n"), (6, " \r\n")] {
        let text = format!("{around}{}{around}", servers.tokens().subject);
        std::fs::write(&file, text).unwrap();
        let subject = SubjectSource::File(file.clone());
        exchange(&servers, subject).await.is(&servers, number);
    }
    let (tls, metadata) = (servers.with_tls(), servers.with_metadata());
    tls.wait_for_disconnects(7);
    metadata.wait_for_disconnects(2);
    assert_eq!((tls.connections(), metadata.connections()), (7, 2));
    let kinds: Vec<String> = tls
        .requests()
        .iter()
        .filter(|request| request.method == "POST")
        .map(|request| request.body_json()["subject_token_type"].to_string())
        .collect();
    let is_id = |kind: &&String| kind.contains(":id_token");
    assert_eq!(kinds.iter().position(|kind| is_id(&kind)), Some(2));
    assert_eq!(kinds.iter().filter(is_id).count(), 1);
}

#[tokio::test]
async fn a_refusal_is_told_with_its_description_and_without_a_token() {
    let servers = servers();
    for status in [400, 401, 403] {
        let tokens = servers.tokens();
        let said = format!("Bad token {} for {}", tokens.subject, &tokens.request[5..]);
        let body = json!({"error": "invalid_grant", "error_description": said + ", see \u{1b}[2J the docs"});
        servers.exchange(Reply::json(status, &body));
        let outcome = exchange(&servers, github(&servers)).await;
        let error = outcome.says(&format!(
            "refused with {status}: invalid_grant: Bad token ***"
        ));
        assert!(error.is_refusal() && error.step() == Step::Exchange);
        let text = error.to_string();
        assert!(text.contains("see \\u{1b}[2J the docs"), "{text}");
        assert!(
            text.starts_with("the token exchange at 127.0.0.1:"),
            "{text}"
        );
        assert!(text.contains("check --identity-provider-id"), "{text}");
    }
    servers.exchange(None);
    servers.github(Reply::json(
        403,
        &json!({"message": "Resource not accessible"}),
    ));
    let error = exchange(&servers, github(&servers))
        .await
        .says("Resource not accessible");
    assert!(error.to_string().contains("id-token: write"), "{error}");
    assert_eq!(error.step(), Step::GitHub);
    servers.azure(Reply::json(
        400,
        &json!({"error_description": "Identity not found"}),
    ));
    let error = exchange(&servers, azure(&servers))
        .await
        .says("Identity not found");
    assert!(error.to_string().contains("--azure-client-id"), "{error}");
    servers.google(Reply::bytes(404, "text/html", "<html>"));
    let error = exchange(&servers, google(&servers))
        .await
        .says("answered 404");
    assert!(!error.is_refusal());
}

#[tokio::test]
async fn a_reply_that_is_not_one_is_an_error_of_its_own() {
    let servers = servers();
    let long = "x".repeat(64 * 1024 + 1);
    let token = "a".repeat(MAX_TOKEN + 1);
    for (reply, said) in [
        (
            Reply::json(500, &json!({"error": "oops"})),
            "answered 500: oops",
        ),
        (Reply::json(429, &json!({})), "answered 429"),
        (Reply::new(204), "answered 204"),
        (
            Reply::redirect(302, "https://me:pw@evil.example/x?t=1"),
            "a redirect to https://evil.example;",
        ),
        (
            Reply::redirect(307, "/elsewhere"),
            "redirects are not followed",
        ),
        (
            Reply::bytes(200, "application/json", long.clone()),
            "longer than 64 KiB",
        ),
        (
            Reply::bytes(400, "application/json", long),
            "longer than 64 KiB",
        ),
        (
            Reply::bytes(200, "text/html", "<html>"),
            "not a JSON object",
        ),
        (
            Reply::json(200, &json!({"expires_in": 60})),
            "the reply has no access_token",
        ),
        (
            Reply::json(200, &json!({"access_token": token, "expires_in": 60})),
            "is longer than 8 KiB",
        ),
        (
            Reply::json(200, &json!({"access_token": "a", "expires_in": 0})),
            "has expired already",
        ),
        (
            Reply::close_before_head(),
            "closed the connection too early",
        ),
        (
            Reply::raw("SSH-2.0-OpenSSH\r\n\r\n", true),
            "did not answer in HTTP",
        ),
    ] {
        servers.exchange(reply);
        let error = exchange(&servers, github(&servers)).await.says(said);
        assert!(!error.is_refusal(), "{error}");
    }
    servers.exchange(None);
    for (reply, said) in [
        (
            Reply::json(200, &json!({"count": 1})),
            "the reply has no value",
        ),
        (
            Reply::json(200, &json!({"value": "a b"})),
            "value has a character that no token has",
        ),
        (Reply::json(200, &json!({"value": ""})), "value is empty"),
        (
            Reply::redirect(302, "https://evil.example/"),
            "the GitHub OIDC token request at",
        ),
    ] {
        servers.github(reply);
        exchange(&servers, github(&servers)).await.says(said);
    }
    servers.google(Reply::bytes(
        200,
        "text/html",
        servers.tokens().subject.clone(),
    ));
    exchange(&servers, google(&servers))
        .await
        .says("lacks `Metadata-Flavor: Google`");
    servers.azure(Reply::json(200, &json!({})));
    exchange(&servers, azure(&servers))
        .await
        .says("the reply has no access_token");
    let exchanges = servers.with_tls().requests();
    let posts = exchanges.iter().filter(|request| request.method == "POST");
    assert_eq!(posts.count(), 13, "a bad subject token goes nowhere");
}

#[tokio::test]
async fn what_cannot_be_reached_or_trusted_is_named() {
    let servers = servers();
    let mut other = identity(&servers, github(&servers), || Way::Direct);
    other.config.subject = SubjectSource::File("/nowhere/token".into());
    other.subject = None;
    exchange_by(&servers, &other)
        .await
        .says("--identity-token-file /nowhere/token: No such file");
    for (text, said) in [
        ("", "the token in it is empty"),
        ("a b", "has a character that no token has"),
        (&"a".repeat(MAX_TOKEN), "is longer than 8 KiB"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, text).unwrap();
        other.config.subject = SubjectSource::File(file);
        exchange_by(&servers, &other).await.says(said);
    }
    other.config.subject = SubjectSource::File("/".into());
    exchange_by(&servers, &other)
        .await
        .says("it is not a regular file");
    // Another authority.
    let strange = self::servers();
    let route = identity(&strange, github(&strange), || Way::Direct);
    let mut mixed = identity(&servers, github(&servers), || Way::Direct);
    mixed.config.exchange_url = route.config.exchange_url;
    mixed.exchange = ServiceRoute::by_tls(
        mixed.config.exchange_url.clone(),
        Way::Direct,
        connections::roots_of(&servers),
    );
    exchange_by(&servers, &mixed)
        .await
        .says("no TLS connection: invalid peer certificate");
}
