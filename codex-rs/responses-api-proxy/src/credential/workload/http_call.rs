//! One request to a server that gives tokens, on a connection of its own, and all of its reply.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use codex_deadline::within;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, HOST, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use url::{Position, Url};
use zeroize::Zeroizing;

use crate::credential::workload::error::{ExchangeError, Fault, Step};
use crate::credential::workload::reply::said_by;
use crate::credential::workload::token_bytes::AreTokens;
use crate::upstream::error::UpstreamError;
use crate::upstream::redirect::origin_of;
use crate::upstream::{Connector, Resolver, ServiceRoute, UpstreamSetupError};

/// The longest body of a reply, in bytes.
const MAX_BODY: usize = 64 * 1024;
/// The most header lines of a reply, and its longest head, in bytes.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 * 1024;

/// A server, and what is asked of it.
pub(super) struct Server {
    step: Step,
    url: Url,
    target: Uri,
    host: HeaderValue,
    connector: Connector,
}

/// What came back, with a status of 200.
pub(super) struct Reply {
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Server {
    /// What `route` leads to, for this step of an exchange.
    pub(super) fn new(
        step: Step,
        route: &ServiceRoute,
        resolver: Resolver,
    ) -> Result<Self, UpstreamSetupError> {
        let url = route.url();
        let target = url[Position::BeforePath..Position::AfterQuery].parse();
        Ok(Self {
            step,
            target: target.map_err(|_| UpstreamSetupError::Url)?,
            host: HeaderValue::from_str(&host(url)).map_err(|_| UpstreamSetupError::Url)?,
            connector: route.connector(resolver)?,
            url: url.clone(),
        })
    }

    /// The error that this step came to.
    pub(super) fn error(&self, fault: Fault) -> ExchangeError {
        ExchangeError::new(self.step, host(&self.url), fault)
    }

    /// Sends a request and reads all of its reply, within `limit` in all. `tokens` are kept out of the error.
    ///
    /// # Errors
    ///
    /// The [`ExchangeError`] for anything but a status of 200 with a body that is not too long.
    pub(super) async fn call(
        &self,
        method: Method,
        headers: impl IntoIterator<Item = (HeaderName, HeaderValue)>,
        body: Bytes,
        limit: Duration,
        tokens: &AreTokens<'_>,
    ) -> Result<Reply, ExchangeError> {
        let mut request = Request::new(Payload(Some(body).filter(|body| !body.is_empty())));
        *request.method_mut() = method;
        *request.uri_mut() = self.target.clone();
        let fields = request.headers_mut();
        fields.insert(HOST, self.host.clone());
        fields.insert(ACCEPT, HeaderValue::from_static("application/json"));
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        fields.insert(CONNECTION, HeaderValue::from_static("close"));
        fields.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        fields.extend(headers);
        let called = within(limit, self.answer(request, tokens)).await;
        called
            .unwrap_or(Err(Fault::Timeout(limit)))
            .map_err(|fault| self.error(fault))
    }

    async fn answer(
        &self,
        request: Request<Payload>,
        tokens: &AreTokens<'_>,
    ) -> Result<Reply, Fault> {
        let unreachable = |error| Fault::Unreachable(tokens.kept_out_of(&without_upstream(error)));
        let broken = |error: hyper::Error| unreachable(UpstreamError::from_error(&error));
        let established = self.connector.connect().await.map_err(unreachable)?;
        let (mut sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD)
            .handshake(TokioIo::new(established.transport))
            .await
            .map_err(broken)?;
        let answer = async {
            let reply = sender.send_request(request).await.map_err(broken)?;
            let (head, body) = reply.into_parts();
            if head.status.is_redirection() {
                let origin = origin_of(head.headers.get(LOCATION), &self.url);
                let origin = tokens.kept_out_of(&origin);
                return Err(Fault::Redirect(head.status, origin));
            }
            let body = whole(body)
                .await
                .map_err(|error| error.map_or(Fault::TooLarge(MAX_BODY), broken))?;
            let said = || tokens.kept_out_of(&said_by(&body));
            match head.status {
                StatusCode::OK => Ok(Reply {
                    headers: head.headers,
                    body,
                }),
                StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    Err(Fault::Refused(head.status, said()))
                }
                status => Err(Fault::Status(status, said())),
            }
        };
        // Driven here, so that it ends with this and nothing of it stays behind.
        let drive = async {
            // What it ended with is told to whoever waits for the reply.
            let _ = connection.await;
            std::future::pending::<Infallible>().await
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            never = drive => match never {},
        }
    }
}

/// Who asks.
const AGENT: &str = concat!("codex-responses-api-proxy/", env!("CARGO_PKG_VERSION"));

/// Host and port of a URL, as in `Host`.
pub(super) fn host(url: &Url) -> String {
    url[Position::BeforeHost..Position::AfterPort].to_owned()
}

/// All of a body, in one buffer of a fixed size; `None` in the error if it is too long.
async fn whole(body: Incoming) -> Result<Zeroizing<Vec<u8>>, Option<hyper::Error>> {
    // What it outgrew would be left behind.
    let mut read = Zeroizing::new(Vec::with_capacity(MAX_BODY));
    let mut body = pin!(body);
    while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame.map_err(Some)?.into_data() {
            if read.len() + data.len() > MAX_BODY {
                return Err(None);
            }
            read.extend_from_slice(&data);
        }
    }
    Ok(read)
}

/// What failed, in words that are not about the upstream.
fn without_upstream(error: UpstreamError) -> String {
    match error {
        UpstreamError::Connect(cause) => format!("could not connect: {cause}"),
        UpstreamError::Dns(cause) => format!("its name has no address: {cause}"),
        UpstreamError::Tls(cause) => format!("no TLS connection: {cause}"),
        UpstreamError::Protocol(cause) => format!("it did not answer in HTTP: {cause}"),
        UpstreamError::Headers => "it answered with too many headers".to_owned(),
        UpstreamError::Closed(cause) => format!("it closed the connection too early: {cause}"),
        UpstreamError::ConnectTimeout => "no connection in time".to_owned(),
        UpstreamError::Proxy { at, cause, .. } => {
            format!("the proxy {at} opened no way to it; {cause}")
        }
        other => other.to_string(),
    }
}

/// The body of a request.
struct Payload(Option<Bytes>);

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.0.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
