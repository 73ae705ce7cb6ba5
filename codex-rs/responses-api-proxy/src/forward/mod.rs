//! A permitted call and the credential become one upstream request: the only
//! place where the two meet.

pub(crate) mod headers;
mod meter;
pub(crate) mod preconnect;
pub(crate) mod response_body;
pub(crate) mod router;

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{HeaderName, LOCATION};

use crate::access::inspection::Inspection;
use crate::access::policy::PermittedCall;
use crate::access::request_limit::RequestPermit;
use crate::access::reservation::Reservation;
use crate::config::limits::{self, Limits};
use crate::credential::Credential;
use crate::downstream::connection_state::ConnectionState;
use crate::dumps::Dumps;
use crate::forward::meter::Meter;
use crate::forward::response_body::ResponseBody;
use crate::inspect::answer::AnswerForm;
use crate::observe::record::Record;
use crate::refusal::{Reason, Refusal};
use crate::upstream::error::UpstreamError;
use crate::upstream::redirect::origin_of;
use crate::upstream::request_body::RequestBody;
use crate::upstream::request_progress::RequestBodyError;
use crate::upstream::{MAX_ANSWER_HEADERS, RequestHead, Upstream};

/// OpenAI's name for a request, which its support asks for.
const UPSTREAM_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A request that may be forwarded, and what it is forwarded with.
pub(crate) struct Call {
    pub(crate) permitted: PermittedCall,
    pub(crate) body: Body,
    /// Says whose call it is, and is held until the answer is over.
    pub(crate) permit: RequestPermit,
    /// What it may spend, if that is limited, and what finds out whether it may.
    pub(crate) reserved: Option<(Arc<Reservation>, Inspection)>,
    /// Of the connection that gets the answer.
    pub(crate) connection_state: Arc<ConnectionState>,
    pub(crate) record: Arc<Record>,
    /// Where it is dumped, if it is.
    pub(crate) dumps: Option<Dumps>,
}

/// Sends the call upstream with the credential and turns the answer around.
///
/// # Errors
///
/// The [`Refusal`] to answer with: a body that is too large or cut short, or
/// the upstream's error.
pub(crate) async fn forward(
    call: Call,
    credential: Credential,
    upstream: &Upstream,
    limits: &Limits,
) -> Result<Response, Refusal> {
    let Call {
        permitted,
        body,
        permit,
        reserved,
        connection_state,
        record,
        dumps,
    } = call;
    let (reservation, inspection) = reserved.unzip();
    let limit = limits.max_body;
    let upload = RequestBody::new(body, limits).recorded(&record);
    if upload.is_declared_too_large() {
        return Err(Refusal::body_too_large(limit));
    }
    let mut outgoing = headers::without_authorization(permitted.headers());
    headers::limit(&outgoing)?;
    let mut dumped = dumps.map(|dumps| {
        let caller = permit.caller();
        let has_token = caller.token.is_some();
        let used = credential.not_used_yet();
        dumps.exchange(caller.user, &record, permitted.headers(), has_token, &used)
    });
    let upload = upload.dumped(dumped.as_ref().map(|to| to.request(permitted.headers())));
    let given_up = |error: RequestBodyError| given_up(&error, limit, reservation.as_deref());
    let mut upload = upload.inspected(inspection, reservation.clone());
    upload.read_ahead().await.map_err(given_up)?;
    // Not before: a caller may take its time, and what it goes with stays in memory until its head is sent.
    let authorization = credential.authorize(&permitted).await;
    let mut authorization = authorization.map_err(UpstreamError::Credential)?;
    // With it goes the buffer it was read into; an answer can take minutes to begin.
    drop(permitted);
    let used = authorization.used();
    if let Some(facts) = used.facts() {
        record.note_credential(facts);
    }
    if let Some(dumped) = &mut dumped {
        dumped.goes_with(&used);
    }
    let permit_of_head = authorization.take_permit();
    headers::authorize(&mut outgoing, authorization);
    let outgoing = RequestHead {
        headers: outgoing,
        permit: permit_of_head,
    };
    let progress = upload.progress();
    let answer = upstream.send(outgoing, upload, permit).await;
    let (mut head, body) = answer.map_err(|fault| match progress.failure() {
        // The request failed because we gave it up.
        Some(error) => given_up(error),
        None => fault.into(),
    })?;
    if let Some(fault) = not_an_answer(&head, upstream.url()) {
        return Err(fault.into());
    }
    if reservation
        .as_ref()
        .is_some_and(|reservation| !reservation.is_decided())
        && head.status.is_success()
    {
        return Err(UpstreamError::Protocol(
            "it answered before it had the whole request".to_owned(),
        )
        .into());
    }
    if head.status == StatusCode::UNAUTHORIZED {
        credential.note_refused(&used);
    }
    // Before that: a dump shows that there was such a header, without its value.
    let dump = dumped.map(|to| to.response(head.status, &head.headers));
    let mut redactor = used.redactor();
    redactor.clean_headers(&mut head.headers);
    let form = AnswerForm::from_headers(&head.headers);
    note_head(&record, &head, form);
    headers::retain_for_client(&mut head.headers);
    let meter = Meter::new(form, head.status, &record, reservation);
    if let Some(meter) = &meter {
        meter.say_remaining(&mut head.headers);
    }
    let body = ResponseBody::new(body, redactor, connection_state, record, meter);
    let mut response = Response::new(Body::new(body.dumped(dump)));
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Ok(response)
}

/// Why there is no request.
fn given_up(error: &RequestBodyError, limit: u64, reservation: Option<&Reservation>) -> Refusal {
    match error {
        RequestBodyError::TooLarge => Refusal::body_too_large(limit),
        RequestBodyError::CutShort => Reason::BodyCutShort.into(),
        RequestBodyError::Stalled => Reason::BodyStalled.into(),
        RequestBodyError::Untaken => UpstreamError::Untaken(limits::STALLED).into(),
        RequestBodyError::Refused => {
            let refusal = reservation.and_then(Reservation::take_refusal);
            // It is there: who found it left it there first.
            refusal.unwrap_or_else(|| Reason::RequestNotAllowed.into())
        }
    }
}

/// Notes what the head of an answer says.
fn note_head(record: &Record, head: &http::response::Parts, form: AnswerForm) {
    let request_id = head.headers.get(UPSTREAM_REQUEST_ID);
    let request_id = request_id.and_then(|value| value.to_str().ok());
    record.note_answer_head(form == AnswerForm::EventStream, request_id);
    record.observer().note_upstream_status(head.status);
}

/// What is not an answer to this `POST`: a switch of protocols or a form of it that
/// nobody asked for, and every redirect.
fn not_an_answer(head: &http::response::Parts, from: &url::Url) -> Option<UpstreamError> {
    let status = head.status;
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Some(UpstreamError::Protocol(
            "it switched protocols without being asked to".to_owned(),
        ));
    }
    // By HTTP/1.1 hyper has counted already.
    if head.headers.len() > MAX_ANSWER_HEADERS {
        return Some(UpstreamError::Headers);
    }
    if let Some(form) = headers::not_as_it_stands(status, &head.headers) {
        return Some(UpstreamError::Coding(form));
    }
    (status.is_redirection() && status != StatusCode::NOT_MODIFIED).then(|| {
        UpstreamError::Redirect {
            status,
            origin: origin_of(head.headers.get(LOCATION), from),
        }
    })
}
