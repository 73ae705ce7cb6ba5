//! Workload identity: a short-lived access token in the place of a key.
//!
//! A workload has a token that says who it is: a GitHub Actions job, a pod, a machine of a cloud. It is exchanged for an
//! access token of OpenAI's (RFC 8693). Two requests at most, each on a connection of its own that ends with it, so
//! that all buffers are freed, and wiped by the allocator. HTTP/1.1 by hyper over the proxy's own connections, and not
//! reqwest: names are then looked up by the one thread that may, and every limit is ours.
//!
//! ```text
//! request token --> GitHub OIDC ----\
//!          file --------------------+--> subject token --> token exchange --> access token
//!     (nothing) --> Azure, Google --/     in `scratch`                         in `into`
//! ```

pub(crate) mod error;
mod http_call;
mod reply;
pub(crate) mod request_token;
mod subject_token;
pub(crate) mod token_bytes;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use codex_outbound::http_proxy;
use codex_outbound::tls_roots;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method};
use rustls::RootCertStore;
use serde::Serialize;
use zeroize::{Zeroize, Zeroizing};

use crate::config::workload::{SubjectSource, WorkloadConfig};
use crate::credential::workload::error::{ExchangeError, Fault, Step, WorkloadSetupError};
use crate::credential::workload::http_call::Server;
use crate::credential::workload::reply::read_access_token;
use crate::credential::workload::token_bytes::{AreTokens, LONGEST_WORD};
use crate::upstream::{Hop, Resolver, ServiceRoute};

/// The longest token that is taken, of any kind, in bytes.
pub(crate) const MAX_TOKEN: usize = 8 * 1024;

/// How long a token endpoint may take, a connection to it included.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What is asked for (RFC 8693, section 2.1).
const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Whose identity is shown, and the ways to where that takes; everything that has to be read from files and from the
/// environment is.
pub(crate) struct WorkloadIdentity {
    config: WorkloadConfig,
    exchange: ServiceRoute,
    /// To where the subject token comes from; `None` for a file.
    subject: Option<ServiceRoute>,
}

impl WorkloadIdentity {
    /// Finds the ways and loads the certificate authorities, while files can still be read.
    ///
    /// # Errors
    ///
    /// [`WorkloadSetupError`]: no authorities, or a variable that is not in force as it stands.
    pub(crate) fn new(config: WorkloadConfig) -> Result<Self, WorkloadSetupError> {
        let roots = tls_roots::load("the token exchange").map_err(WorkloadSetupError::NoRoots)?;
        Self::trusting(Arc::new(roots.store), config, http_proxy::way_to)
    }

    /// The same with these authorities, and whatever `way_to` says of a proxy.
    fn trusting(
        roots: Arc<RootCertStore>,
        config: WorkloadConfig,
        way_to: impl Fn(
            &url::Url,
        )
            -> Result<http_proxy::Way, codex_outbound::environment::EnvironmentError>,
    ) -> Result<Self, WorkloadSetupError> {
        let by_tls = |url: &url::Url| {
            let way = way_to(url).map_err(WorkloadSetupError::Environment)?;
            Ok(ServiceRoute::by_tls(url.clone(), way, Arc::clone(&roots)))
        };
        let subject = match &config.subject {
            SubjectSource::GitHub(url) => Some(by_tls(url)?),
            SubjectSource::File(_) => None,
            SubjectSource::Azure(url) | SubjectSource::Google(url) => {
                Some(ServiceRoute::to_metadata(url.clone()))
            }
        };
        Ok(Self {
            exchange: by_tls(&config.exchange_url)?,
            subject,
            config,
        })
    }

    /// One word for where the identity comes from, in logs.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.config.subject {
            SubjectSource::GitHub(_) => "github",
            SubjectSource::File(_) => "token_file",
            SubjectSource::Azure(_) => "azure",
            SubjectSource::Google(_) => "google",
        }
    }

    /// Where connections go first: ports for the sandbox, and whether a name has to be looked up.
    pub(crate) fn hops(&self) -> impl Iterator<Item = Hop> {
        let routes = [Some(&self.exchange), self.subject.as_ref()];
        routes.into_iter().flatten().map(ServiceRoute::first_hop)
    }

    /// The file that is read at each exchange, if it is one.
    pub(crate) fn token_file(&self) -> Option<&Path> {
        match &self.config.subject {
            SubjectSource::File(path) => Some(path),
            SubjectSource::GitHub(_) | SubjectSource::Azure(_) | SubjectSource::Google(_) => None,
        }
    }

    /// Whether standard input has to give GitHub's request token
    /// ([`request_token_from_stdin`](crate::credential::source::stdin::request_token_from_stdin)); nothing is read from it otherwise.
    pub(crate) fn needs_request_token(&self) -> bool {
        matches!(self.config.subject, SubjectSource::GitHub(_))
    }

    /// What makes the exchanges. `resolver` is asked where a first hop is a name.
    ///
    /// # Errors
    ///
    /// [`WorkloadSetupError`] if a host cannot be connected to or TLS not be set up.
    pub(crate) fn client(&self, resolver: Resolver) -> Result<TokenClient, WorkloadSetupError> {
        let server = |step, route: &ServiceRoute| {
            let server = Server::new(step, route, resolver.clone());
            server.map_err(WorkloadSetupError::Route)
        };
        let subject = self.subject.as_ref();
        Ok(TokenClient {
            exchange: server(Step::Exchange, &self.exchange)?,
            subject: subject
                .map(|route| server(Step::of(&self.config.subject), route))
                .transpose()?,
            config: self.config.clone(),
        })
    }
}

impl fmt::Display for WorkloadIdentity {
    /// For the start-up lines.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let step = Step::of(&self.config.subject);
        match (&self.subject, self.token_file()) {
            (Some(route), _) => write!(f, "{} ({})", step, http_call::host(route.url()))?,
            (None, Some(path)) => write!(f, "{step} {}", path.display())?,
            (None, None) => {}
        }
        write!(f, ", exchanged at {}", http_call::host(self.exchange.url()))
    }
}

/// Makes exchanges, one at a time or several; each is a connection or two that end with it.
pub(crate) struct TokenClient {
    config: WorkloadConfig,
    exchange: Server,
    subject: Option<Server>,
}

/// An access token that was got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Obtained {
    /// Its length, in bytes.
    pub(crate) len: usize,
    /// How long it is good for, counted from when it came.
    pub(crate) lifetime: Duration,
}

/// The body of an exchange (API reference, "Workload identity token exchange").
#[derive(Serialize)]
struct ExchangeRequest<'a> {
    grant_type: &'static str,
    subject_token_type: &'static str,
    subject_token: &'a str,
    identity_provider_id: &'a str,
    service_account_id: &'a str,
}

impl TokenClient {
    /// Gets an access token and writes it to the beginning of `into`. On its way the subject token is in `scratch`; that
    /// is wiped whatever comes of it, and `into` on an error. `request_token` is GitHub's, and not looked at otherwise.
    /// Both slices belong into locked pages; [`MAX_TOKEN`] bytes each are enough.
    ///
    /// # Errors
    ///
    /// The [`ExchangeError`]. It has no byte of a token in it.
    pub(crate) async fn exchange(
        &self,
        request_token: &[u8],
        scratch: &mut [u8],
        into: &mut [u8],
    ) -> Result<Obtained, ExchangeError> {
        let scratch = WipedAtTheEnd(scratch);
        let outcome = self.get(request_token, scratch.0, into).await;
        if outcome.is_err() {
            into.zeroize();
        }
        outcome
    }

    async fn get(
        &self,
        request_token: &[u8],
        scratch: &mut [u8],
        into: &mut [u8],
    ) -> Result<Obtained, ExchangeError> {
        let len = subject_token::get(
            &self.config.subject,
            self.subject.as_ref(),
            request_token,
            scratch,
        )
        .await?;
        let subject_token = scratch.get(..len).unwrap_or_default();
        let body = self.request_body(subject_token)?;
        let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
        let tokens = AreTokens(&[request_token, subject_token], LONGEST_WORD);
        let reply = self
            .exchange
            .call(Method::POST, json, body, TIMEOUT, &tokens)
            .await?;
        let read = read_access_token(&reply.body, into, SystemTime::now());
        read.map_err(|fault| self.exchange.error(fault))
    }

    fn request_body(&self, subject_token: &[u8]) -> Result<Bytes, ExchangeError> {
        let unwritten = || self.exchange.error(Fault::Request);
        let request = ExchangeRequest {
            grant_type: GRANT,
            subject_token_type: self.config.subject.token_type(),
            subject_token: std::str::from_utf8(subject_token).map_err(|_| unwritten())?,
            identity_provider_id: &self.config.identity_provider_id,
            service_account_id: &self.config.service_account_id,
        };
        // Large enough from the start: what it outgrows would be left behind.
        let ids = request.identity_provider_id.len() + request.service_account_id.len();
        let mut body = Zeroizing::new(Vec::with_capacity(512 + subject_token.len() + 6 * ids));
        serde_json::to_writer(&mut *body, &request).map_err(|_| unwritten())?;
        Ok(Bytes::from_owner(body))
    }
}

/// Wipes what is lent, also when the exchange is given up half way.
struct WipedAtTheEnd<'a>(&'a mut [u8]);

impl Drop for WipedAtTheEnd<'_> {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests;
