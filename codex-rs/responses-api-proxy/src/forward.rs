//! A permitted call and the credential become one upstream request: the only
//! place where the two meet.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::header::LOCATION;
use http::{HeaderValue, Request, StatusCode};

use crate::credential::Credential;
use crate::downstream::Link;
use crate::headers;
use crate::policy::PermittedCall;
use crate::refusal::Refusal;
use crate::relay::Relay;
use crate::upload::{Upload, UploadError};
use crate::upstream::Upstream;
use crate::upstream_fault::UpstreamFault;

/// Sends the call upstream with the credential and turns the answer around.
///
/// `limit` is the largest request body, in bytes.
///
/// # Errors
///
/// The [`Refusal`] to answer with: a body that is too large or cut short, or
/// the upstream's fault.
pub(crate) async fn forward(
    _proof: PermittedCall,
    request: Request<Body>,
    credential: Credential,
    upstream: &Upstream,
    limit: u64,
    link: Arc<Link>,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    let upload = Upload::new(body, limit);
    if upload.is_declared_too_large() {
        return Err(Refusal::BodyTooLarge { limit });
    }
    let outgoing = headers::for_upstream(credential.header(), &head.headers);
    let progress = upload.progress();
    let answer = upstream.send(outgoing, upload).await;
    let answer = answer.map_err(|fault| match progress.failure() {
        // The request failed because we gave it up.
        Some(UploadError::TooLarge) => Refusal::BodyTooLarge { limit },
        Some(UploadError::CutShort) => Refusal::BodyCutShort,
        None => Refusal::Upstream(fault),
    })?;
    let (mut head, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
    if let Some(fault) = not_an_answer(&head) {
        return Err(Refusal::Upstream(fault));
    }
    headers::retain_for_client(&mut head.headers);
    let mut redactor = credential.redactor();
    redactor.clean_headers(&mut head.headers);
    let mut response = Response::new(Body::new(Relay::new(body, redactor, link)));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}

/// Statuses that are no final answer to a `POST`: a switch of protocols that
/// nobody asked for, and every redirect.
fn not_an_answer(head: &http::response::Parts) -> Option<UpstreamFault> {
    let status = head.status;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Some(UpstreamFault::Protocol(
            "it switched protocols without being asked to".to_owned(),
        ));
    }
    (status.is_redirection() && status != StatusCode::NOT_MODIFIED).then(|| {
        UpstreamFault::Redirect {
            status,
            origin: origin_of(head.headers.get(LOCATION)),
        }
    })
}

/// Scheme, host and port of a `Location`; its path and query may hold secrets.
fn origin_of(location: Option<&HeaderValue>) -> String {
    let target = location.and_then(|value| value.to_str().ok());
    match target.map(reqwest::Url::parse) {
        None => "an unnamed place".to_owned(),
        Some(Ok(url)) => url.origin().ascii_serialization(),
        Some(Err(_)) => "another path of its own".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_names_an_origin_and_no_more() {
        let origin = |text: &'static str| origin_of(Some(&HeaderValue::from_static(text)));
        assert_eq!(
            origin("https://me:pw@a.example:8/x?token=1"),
            "https://a.example:8"
        );
        assert_eq!(origin("/v2/responses?token=1"), "another path of its own");
        assert_eq!(origin_of(None), "an unnamed place");
    }
}
