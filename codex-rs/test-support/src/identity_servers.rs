//! The servers that a keyless proxy asks: GitHub's OIDC provider and a token endpoint over TLS, and the metadata
//! services of Azure and Google in cleartext, as the real ones are. They answer well-formed requests as scripted, and
//! any other with 418 and what is wrong with it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::recorded::RecordedRequest;
use crate::reply::Reply;
use crate::upstream::MockUpstream;
use crate::wait::lock;

const GITHUB: &str = "/github/token";
const EXCHANGE: &str = "/oauth/token";
const AZURE: &str = "/metadata/identity/oauth2/token";
const GOOGLE: &str = "/computeMetadata/v1/instance/service-accounts/default/identity";

/// The tokens and names that are right, all made up.
#[derive(Clone, Debug)]
pub struct IdentityTokens {
    /// What GitHub takes.
    pub request: String,
    /// What every platform gives, and the exchange takes.
    pub subject: String,
    /// What comes of it; the number of the exchange, from 1, is added.
    pub access: String,
    /// The identity provider, the service account and the audience.
    pub provider: String,
    /// See `provider`.
    pub account: String,
    /// See `provider`.
    pub audience: String,
}

impl Default for IdentityTokens {
    fn default() -> Self {
        Self {
            request: "eyJ0eXAiOiJKV1QifQ.eyJqb2IiOiJidWlsZCJ9.UmVxdWVzdC1TaWduYXR1cmUtOTNk".into(),
            subject: "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJyZXBvOm8vciJ9.U3ViamVjdC1TaWduYXR1cmU".into(),
            access: "at-7fQ2mZx9KpLw_Vb3nRtYc.8HsJd4gEuA1oTiW6".into(),
            provider: "idp_test".into(),
            account: "sa_test".into(),
            audience: "https://api.openai.com/v1 test".into(),
        }
    }
}

#[derive(Debug)]
struct Scripted {
    replies: HashMap<&'static str, Reply>,
    exchanges: usize,
    /// Of access tokens.
    lifetime_seconds: u64,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            replies: HashMap::new(),
            exchanges: 0,
            lifetime_seconds: 3600,
        }
    }
}

/// All of them, running; dropping them ends all connections.
#[derive(Debug)]
pub struct IdentityServers {
    tls: MockUpstream,
    metadata: MockUpstream,
    tokens: IdentityTokens,
    scripted: Arc<Mutex<Scripted>>,
}

impl IdentityServers {
    /// Servers that give and take these tokens.
    #[must_use]
    #[track_caller]
    pub fn new(tokens: IdentityTokens) -> Self {
        let scripted = Arc::new(Mutex::new(Scripted::default()));
        let handler = {
            let (scripted, tokens) = (Arc::clone(&scripted), tokens.clone());
            move |request: &RecordedRequest| answer(request, &tokens, &scripted)
        };
        Self {
            tls: MockUpstream::builder()
                .tls_h1()
                .handler(handler.clone())
                .start(),
            metadata: MockUpstream::builder().handler(handler).start(),
            tokens,
            scripted,
        }
    }

    /// The tokens that are right.
    #[must_use]
    pub fn tokens(&self) -> &IdentityTokens {
        &self.tokens
    }

    /// `ACTIONS_ID_TOKEN_REQUEST_URL`, with a query as GitHub's has.
    #[must_use]
    pub fn github_url(&self) -> String {
        let path = format!("{GITHUB}?api-version=2.0");
        self.tls.url_for("https", "127.0.0.1", &path)
    }

    /// For `--token-exchange-url`.
    #[must_use]
    pub fn exchange_url(&self) -> String {
        self.tls.url_for("https", "127.0.0.1", EXCHANGE)
    }

    /// For `--metadata-address`.
    #[must_use]
    pub fn metadata_address(&self) -> SocketAddr {
        self.metadata.addr()
    }

    /// The CA of the servers with TLS.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.tls.ca_file()
    }

    /// Writes the CA, and that of another server, to one file.
    ///
    /// # Panics
    /// When it cannot be written.
    #[track_caller]
    pub fn write_ca_with(&self, other: &MockUpstream, to: &Path) {
        let both = [self.ca_file(), other.ca_file()].map(std::fs::read);
        let both = both.map(|pem| pem.expect("a CA file")).concat();
        std::fs::write(to, both).expect("the CA file");
    }

    /// GitHub answers with this from now on; `None`: as it should.
    pub fn github(&self, reply: impl Into<Option<Reply>>) {
        self.script(GITHUB, reply.into());
    }

    /// The token endpoint answers with this from now on; `None`: as it should.
    pub fn exchange(&self, reply: impl Into<Option<Reply>>) {
        self.script(EXCHANGE, reply.into());
    }

    /// The same of Azure's metadata service.
    pub fn azure(&self, reply: impl Into<Option<Reply>>) {
        self.script(AZURE, reply.into());
    }

    /// The same of Google's metadata server.
    pub fn google(&self, reply: impl Into<Option<Reply>>) {
        self.script(GOOGLE, reply.into());
    }

    fn script(&self, path: &'static str, reply: Option<Reply>) {
        let replies = &mut lock(&self.scripted).replies;
        match reply {
            Some(reply) => drop(replies.insert(path, reply)),
            None => drop(replies.remove(path)),
        }
    }

    /// What the servers with TLS saw, and what came of their connections.
    #[must_use]
    pub fn with_tls(&self) -> &MockUpstream {
        &self.tls
    }

    /// What the metadata services saw.
    #[must_use]
    pub fn with_metadata(&self) -> &MockUpstream {
        &self.metadata
    }

    /// Access tokens are good for so many seconds from now on.
    pub fn tokens_last(&self, seconds: u64) {
        lock(&self.scripted).lifetime_seconds = seconds;
    }

    /// How many exchanges were answered as they should.
    #[must_use]
    pub fn exchanges(&self) -> usize {
        lock(&self.scripted).exchanges
    }
}

/// A good reply of a token endpoint, as OpenAI's is, for a token that is good for so many seconds.
fn access_token(token: &str, seconds: u64) -> Value {
    json!({
        "access_token": token,
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": seconds,
    })
}

fn answer(request: &RecordedRequest, tokens: &IdentityTokens, scripted: &Mutex<Scripted>) -> Reply {
    let path = request.target.split('?').next().unwrap_or_default();
    let wrong = match path {
        GITHUB => not_for_github(request, tokens),
        EXCHANGE => not_an_exchange(request, tokens),
        AZURE => not_for_azure(request),
        GOOGLE => not_for_google(request),
        _ => Some("an unknown path"),
    };
    if let Some(wrong) = wrong {
        return Reply::json(418, &json!({"error": "mock", "error_description": wrong}));
    }
    let mut scripted = lock(scripted);
    if let Some(reply) = scripted.replies.get(path) {
        return reply.clone();
    }
    match path {
        GITHUB => Reply::json(200, &json!({"count": 1, "value": tokens.subject})),
        AZURE => Reply::json(
            200,
            &json!({"access_token": tokens.subject, "expires_in": "86399", "token_type": "Bearer"}),
        ),
        GOOGLE => Reply::bytes(200, "text/html", tokens.subject.clone())
            .header("Metadata-Flavor", "Google"),
        _ => {
            scripted.exchanges += 1;
            let token = format!("{}{}", tokens.access, scripted.exchanges);
            Reply::json(200, &access_token(&token, scripted.lifetime_seconds))
        }
    }
}

fn not_for_github(request: &RecordedRequest, tokens: &IdentityTokens) -> Option<&'static str> {
    let bearer = format!("Bearer {}", tokens.request);
    let audience = "api-version=2.0&audience=https%3A%2F%2Fapi.openai.com%2Fv1%20test";
    if request.method != "GET" || request.body_len > 0 {
        return Some("not a GET without a body");
    }
    if request.header("authorization") != Some(bearer.as_str()) {
        return Some("another request token");
    }
    (request.target != format!("{GITHUB}?{audience}")).then_some("another query")
}

fn not_an_exchange(request: &RecordedRequest, tokens: &IdentityTokens) -> Option<&'static str> {
    if request.method != "POST" || request.header("content-type") != Some("application/json") {
        return Some("not a POST of JSON");
    }
    if request.header("authorization").is_some() {
        return Some("an Authorization header");
    }
    let body = request.body_json();
    let kind = body["subject_token_type"].as_str().unwrap_or_default();
    let kinds = ["jwt", "id_token"].map(|kind| format!("urn:ietf:params:oauth:token-type:{kind}"));
    if !kinds.iter().any(|known| known == kind) {
        return Some("another kind of token");
    }
    let wanted = json!({
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "subject_token_type": kind,
        "subject_token": tokens.subject,
        "identity_provider_id": tokens.provider,
        "service_account_id": tokens.account,
    });
    (body != wanted).then_some("another body")
}

fn not_for_azure(request: &RecordedRequest) -> Option<&'static str> {
    if request.header("metadata") != Some("true") {
        return Some("no Metadata header");
    }
    let query = "?api-version=2018-02-01&resource=api%3A%2F%2Fopenai";
    let rest = request.target.strip_prefix(AZURE)?;
    let known = [query.to_owned(), format!("{query}&client_id=c-1")];
    (!known.iter().any(|known| known == rest)).then_some("another query")
}

fn not_for_google(request: &RecordedRequest) -> Option<&'static str> {
    if request.header("metadata-flavor") != Some("Google") {
        return Some("no Metadata-Flavor header");
    }
    let audience = "https%3A%2F%2Fapi.openai.com%2Fv1%20test";
    (request.target != format!("{GOOGLE}?audience={audience}")).then_some("another query")
}
