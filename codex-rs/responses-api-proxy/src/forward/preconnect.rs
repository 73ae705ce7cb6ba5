//! The request of `--preconnect`: the connection is there for the first caller, and a refused key is known.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use codex_deadline::within;
use http::StatusCode;
use http_body::Body as HttpBody;

use crate::access::caller::Caller;
use crate::access::policy::PermittedCall;
use crate::access::request_limit::RequestLimit;
use crate::config::limits::Limits;
use crate::credential::Credential;
use crate::forward::headers;
use crate::upstream::error::UpstreamError;
use crate::upstream::request_body::RequestBody;
use crate::upstream::{RequestHead, Upstream};

/// The most of an answer to nobody that is read, in bytes; an unread one would cost
/// its connection.
const MAX_DISCARDED: usize = 64 * 1024;

/// How long a request for nothing may take.
const PRECONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// The upstream answered that it does not take the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KeyRefused(StatusCode);

impl fmt::Display for KeyRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(status) = self;
        write!(
            f,
            "the upstream refuses the key ({status}) that this proxy was given"
        )
    }
}

impl std::error::Error for KeyRefused {}

/// A request for nothing: leaves a connection in the pool, and finds out whether the
/// upstream is there and takes the key. Gives a line to write if it is not there.
///
/// The one request that nobody is permitted: it is ours, and nobody hears its answer.
///
/// # Errors
///
/// [`KeyRefused`]. No answer is not an error: a network that is not up yet says nothing of the key.
pub(crate) async fn preconnect(
    credential: Credential,
    upstream: &Upstream,
    limits: &Limits,
    request_limit: &RequestLimit,
) -> Result<Option<String>, KeyRefused> {
    let asked = ask_for_nothing(credential, upstream, limits, request_limit);
    let limit = PRECONNECT_TIMEOUT;
    let line = match within(limit, asked).await {
        Some(Ok(status))
            if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN =>
        {
            return Err(KeyRefused(status));
        }
        Some(Ok(status)) if !status.is_client_error() => format!(
            "the upstream answered {status} to a request for nothing \
             (is --upstream-url right?)"
        ),
        Some(Ok(_)) => return Ok(None),
        Some(Err(fault)) => format!("no connection yet: {}: {fault}", fault.reason().code()),
        None => format!("no connection yet: no answer within {limit:?}"),
    };
    Ok(Some(line))
}

async fn ask_for_nothing(
    credential: Credential,
    upstream: &Upstream,
    limits: &Limits,
    request_limit: &RequestLimit,
) -> Result<StatusCode, UpstreamError> {
    let call = PermittedCall::probe();
    let authorization = credential.authorize(&call).await;
    let mut authorization = authorization.map_err(UpstreamError::Credential)?;
    let permit_of_head = authorization.take_permit();
    let outgoing = RequestHead {
        headers: headers::for_upstream(authorization, call.headers()),
        permit: permit_of_head,
    };
    let nothing = RequestBody::new(Body::from("{}"), limits);
    let permit = request_limit
        .take(&Caller::proxy())
        .ok_or(UpstreamError::Busy)?;
    let (head, mut body) = upstream.send(outgoing, nothing, permit).await?;
    let mut read = 0;
    while head.status.is_client_error()
        && read < MAX_DISCARDED
        && let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        read += frame.data_ref().map_or(0, Bytes::len);
    }
    Ok(head.status)
}
