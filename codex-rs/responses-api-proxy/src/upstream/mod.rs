//! The one upstream: sends it a request, and waits for its answer to begin.

mod body;
mod connection;
mod connector;
mod driver;
pub(crate) mod error;
mod exchange;
mod listener_owner;
mod outgoing_heads;
mod pace;
mod pool;
pub(crate) mod redirect;
pub(crate) mod request_body;
mod request_notes;
pub(crate) mod request_progress;
mod resets;
mod resolver;
mod route;
mod service;
mod stream;
mod transport;
mod tunnel;
mod windows;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_deadline::within;
use http::header::HOST;
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Uri};
use url::Url;

use crate::access::request_limit::RequestPermit;
use crate::config::UpstreamUrl;
use crate::credential::generation::HeadPermit;
use crate::observe::upstream_connections::UpstreamConnections;
use crate::upstream::error::UpstreamError;
use crate::upstream::request_body::RequestBody;
use crate::upstream::request_progress::Progress;

use self::exchange::{Answer, Exchange};
use self::pool::{Lease, Pool};

pub(crate) use self::body::UpstreamBody;
pub(crate) use self::connection::MAX_ANSWER_HEADERS;
pub(crate) use self::connector::{CONNECT_TIMEOUT, Connector};
pub(crate) use self::exchange::RequestGuard;
pub(crate) use self::listener_owner::ListenerOwner;
pub(crate) use self::resolver::{ResolveError, Resolver};
pub(crate) use self::route::{Hop, Route, UpstreamSetupError};
pub(crate) use self::service::{ServiceRoute, tls_without_http};
pub(crate) use self::transport::Outgoing;
pub(crate) use self::tunnel::TunnelError;

/// The body of a request as hyper gets it.
type SentBody = Box<RequestBody>;

/// So often a request is given to a connection that turns out to have ended before it.
const MAX_TURNS: usize = 4;

/// The upstream and the way to it.
#[derive(Debug)]
pub(crate) struct Upstream {
    pool: Pool<Connector>,
    target: Arc<Target>,
    /// How long it may take to begin an answer.
    timeout: Duration,
    connector: Connector,
    max_idle: usize,
}

/// How the upstream is addressed in a request.
#[derive(Debug)]
struct Target {
    url: UpstreamUrl,
    /// For HTTP/2: scheme, authority, path and query.
    absolute: Uri,
    /// For HTTP/1.1: path and query, and `Host`.
    origin_form: Uri,
    host: HeaderValue,
}

/// The headers of a request, and what keeps the credential that they stand for.
#[derive(Debug)]
pub(crate) struct RequestHead {
    pub(crate) headers: HeaderMap,
    /// `None` where the credential stays in any case.
    pub(crate) permit: Option<HeadPermit>,
}

impl Upstream {
    /// An upstream without a connection yet, that is reached by `connector`. Up to `max_idle` connections
    /// that nothing uses are kept.
    ///
    /// # Errors
    ///
    /// [`UpstreamSetupError::Url`] if its URL cannot stand in a request.
    pub(crate) fn new(
        url: UpstreamUrl,
        timeout: Duration,
        connector: Connector,
        max_idle: usize,
    ) -> Result<Self, UpstreamSetupError> {
        let target = Target::of(url)?;
        Ok(Self {
            pool: Pool::new(connector.clone(), max_idle),
            target: Arc::new(target),
            timeout,
            connector,
            max_idle,
        })
    }

    /// The same upstream, by connections of its own: those of one runtime are of no
    /// use in another.
    pub(crate) fn another(&self) -> Self {
        Self {
            pool: Pool::new(self.connector.clone(), self.max_idle),
            target: Arc::clone(&self.target),
            timeout: self.timeout,
            connector: self.connector.clone(),
            max_idle: self.max_idle,
        }
    }

    /// The connections of all threads.
    pub(crate) fn connections(&self) -> &UpstreamConnections {
        self.connector.made()
    }

    pub(crate) fn url(&self) -> &Url {
        self.target.url.url()
    }

    /// Sends one request and waits for the head of its answer. `permit` is held until both are over, the
    /// request and its answer, or cancelled.
    ///
    /// The time allowed runs anew as long as the request body makes progress: a
    /// slow upload is the caller's, not the upstream's, silence.
    ///
    /// # Errors
    ///
    /// The [`UpstreamError`]; the request is cancelled then.
    pub(crate) async fn send(
        &self,
        head: RequestHead,
        body: RequestBody,
        permit: RequestPermit,
    ) -> Result<(Parts, UpstreamBody), UpstreamError> {
        let progress = body.progress();
        let answer = self.answer(head, body, permit);
        in_time(answer, self.timeout, &progress)
            .await
            .ok_or(UpstreamError::Timeout(self.timeout))?
    }

    async fn answer(
        &self,
        head: RequestHead,
        body: RequestBody,
        permit: RequestPermit,
    ) -> Result<(Parts, UpstreamBody), UpstreamError> {
        // In a box: hyper makes room for 32 requests in the queue of each connection.
        let mut request = Request::new(Box::new(body));
        *request.method_mut() = Method::POST;
        *request.headers_mut() = head.headers;
        let mut head_permit = head.permit;
        let mut permit = permit;
        let mut turns = 0;
        loop {
            turns += 1;
            let lease = self.pool.take(permit.caller()).await?;
            self.target.address(&mut request, &lease);
            let may_be_stale = lease.is_reused() && turns < MAX_TURNS;
            let guard = RequestGuard::new(lease, permit);
            request.body_mut().leave_by(guard.clone());
            let slot = head_permit.as_ref().map(HeadPermit::slot);
            guard
                .connection()
                .outgoing_heads()
                .expect(head_permit.take());
            let sent = guard.connection().send(request);
            let (outcome, exchange) = Answer::new(sent, Exchange::new(guard)).await;
            match outcome {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    let is_error = head.status.is_client_error() || head.status.is_server_error();
                    // hyper answers in kind from then on, and leaves out a body whose length is not known in advance.
                    let is_http_1_0 = head.version < http::Version::HTTP_11;
                    if is_error || is_http_1_0 {
                        exchange.use_no_more();
                    }
                    return Ok((head, UpstreamBody::new(body, exchange)));
                }
                // The connection ended just then, and nothing of the request was sent.
                Err(mut error) => match error.take_message() {
                    Some(mut unsent) if may_be_stale => {
                        unsent.body_mut().stay();
                        head_permit = exchange.connection().outgoing_heads().take_back(slot);
                        request = unsent;
                        permit = exchange.into_permit().ok_or(UpstreamError::Busy)?;
                    }
                    _ => return Err(UpstreamError::from_error(error.error())),
                },
            }
        }
    }
}

impl fmt::Display for Upstream {
    /// Where requests go, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.url.fmt(f)
    }
}

impl Target {
    fn of(url: UpstreamUrl) -> Result<Self, UpstreamSetupError> {
        let parts = url.url();
        let host = parts.host_str().ok_or(UpstreamSetupError::Url)?;
        let authority = match parts.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        };
        let origin_form = match parts.query() {
            Some(query) => format!("{}?{query}", parts.path()),
            None => parts.path().to_owned(),
        };
        let absolute = Uri::builder()
            .scheme(parts.scheme())
            .authority(authority.as_str())
            .path_and_query(origin_form.as_str())
            .build()
            .map_err(|_| UpstreamSetupError::Url)?;
        Ok(Self {
            absolute,
            origin_form: origin_form.parse().map_err(|_| UpstreamSetupError::Url)?,
            host: HeaderValue::from_str(&authority).map_err(|_| UpstreamSetupError::Url)?,
            url,
        })
    }

    /// Addresses `request` in the form that the connection takes.
    fn address(&self, request: &mut Request<SentBody>, lease: &Lease<Connector>) {
        if lease.connection().is_http_2() {
            *request.uri_mut() = self.absolute.clone();
            *request.version_mut() = http::Version::HTTP_2;
            request.headers_mut().remove(HOST);
        } else {
            *request.uri_mut() = self.origin_form.clone();
            *request.version_mut() = http::Version::HTTP_11;
            request.headers_mut().insert(HOST, self.host.clone());
        }
    }
}

/// `None` when `limit` passes without an answer and without progress.
async fn in_time<T>(
    answer: impl Future<Output = T>,
    limit: Duration,
    progress: &Progress,
) -> Option<T> {
    let mut answer = std::pin::pin!(answer);
    loop {
        let before = progress.made();
        match within(limit, &mut answer).await {
            Some(answer) => return Some(answer),
            None if progress.made() != before => {}
            None => return None,
        }
    }
}
