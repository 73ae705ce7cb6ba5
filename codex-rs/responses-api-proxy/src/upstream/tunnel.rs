//! A way through a CONNECT proxy (RFC 9110, section 9.3.6).

use std::fmt;
use std::io;

use bytes::Bytes;
use http::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use http::{Method, Request, StatusCode, Uri};
use http_body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

/// The most header lines of a proxy's answer, and its longest head, in bytes.
const MAX_HEADERS: usize = 100;
const MAX_HEAD: usize = 64 * 1024;

/// Why a proxy opened no way to the upstream.
#[derive(Debug)]
pub(crate) enum TunnelError {
    /// It answered, and not with a success.
    Refused(StatusCode),
    /// It hung up, or did not answer in HTTP.
    Broken(hyper::Error),
    /// The upstream's host or port cannot stand in a CONNECT.
    Target,
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(StatusCode::PROXY_AUTHENTICATION_REQUIRED) => f.write_str(
                "the proxy asks for a user and a password (407); put them into the proxy's URL",
            ),
            Self::Refused(status) => {
                write!(f, "the proxy answered CONNECT with {}", status.as_u16())
            }
            Self::Broken(_) => f.write_str("the proxy did not answer CONNECT"),
            Self::Target => f.write_str("the upstream's address is not one that a proxy takes"),
        }
    }
}

impl std::error::Error for TunnelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Broken(cause) => Some(cause),
            Self::Refused(_) | Self::Target => None,
        }
    }
}

/// Asks the proxy at the other end of `stream` for a connection to `authority`, `HOST:PORT`.
///
/// # Errors
///
/// [`TunnelError`]: the proxy does not open one.
pub(crate) async fn open<S>(
    stream: S,
    authority: &str,
    authorization: Option<&HeaderValue>,
) -> Result<TokioIo<Upgraded>, TunnelError>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let target: Uri = authority.parse().map_err(|_| TunnelError::Target)?;
    let host = HeaderValue::from_str(authority).map_err(|_| TunnelError::Target)?;
    let mut request = Request::new(NoBody);
    *request.method_mut() = Method::CONNECT;
    *request.uri_mut() = target;
    request.headers_mut().insert(HOST, host);
    if let Some(authorization) = authorization {
        request
            .headers_mut()
            .insert(PROXY_AUTHORIZATION, authorization.clone());
    }
    let (mut sender, connection) = http1::Builder::new()
        .max_headers(MAX_HEADERS)
        .max_buf_size(MAX_HEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(TunnelError::Broken)?;
    // Ends when the stream is handed over, or with the connection.
    tokio::spawn(connection.with_upgrades());
    let answer = sender
        .send_request(request)
        .await
        .map_err(TunnelError::Broken)?;
    if !answer.status().is_success() {
        return Err(TunnelError::Refused(answer.status()));
    }
    let upgraded = hyper::upgrade::on(answer).await;
    upgraded.map(TokioIo::new).map_err(TunnelError::Broken)
}

/// The body of a CONNECT.
struct NoBody;

impl Body for NoBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        std::task::Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
