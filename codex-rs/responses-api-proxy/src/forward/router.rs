//! One POST handler, the optional shutdown handler, one fallback that refuses.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use http::header::CONNECTION;
use http::{HeaderValue, Request};

use crate::access::Access;
use crate::access::peer_users::PeerUser;
use crate::access::policy;
use crate::config::limits::Limits;
use crate::config::paths::{RESPONSES, SHUTDOWN};
use crate::credential::Credential;
use crate::downstream::connection_state::ConnectionState;
use crate::dumps::Dumps;
use crate::forward::{Call, forward};
use crate::lifecycle::shutdown::Shutdown;
use crate::observe::record::Record;
use crate::refusal::Refusal;
use crate::upstream::Upstream;

/// What every handler shares; the upstream with those of its thread.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) credential: Credential,
    pub(crate) upstream: Arc<Upstream>,
    pub(crate) limits: Limits,
    pub(crate) access: Access,
    pub(crate) shutdown: Shutdown,
    pub(crate) dumps: Option<Dumps>,
}

/// The routes. axum compares paths as they were sent, and `access/policy.rs` judges
/// every request again, so that a route alone opens nothing.
pub(crate) fn router(shared: Arc<Shared>, http_shutdown: bool) -> Router {
    let router = Router::new().route(RESPONSES, post(responses).fallback(refuse));
    let router = if http_shutdown {
        router.route(SHUTDOWN, get(shut_down).fallback(refuse))
    } else {
        router
    };
    router.fallback(refuse).with_state(shared)
}

async fn responses(
    State(shared): State<Arc<Shared>>,
    Extension(connection_state): Extension<Arc<ConnectionState>>,
    Extension(PeerUser(user)): Extension<PeerUser>,
    Extension(record): Extension<Arc<Record>>,
    request: Request<Body>,
) -> Result<Response, Refusal> {
    let (head, body) = request.into_parts();
    // Whoever came before the end began is served, unless there is nothing to serve with.
    let is_draining = connection_state.is_late() || shared.shutdown.is_expired();
    let identified = |token: &str| record.note_token(token);
    let grant = shared
        .access
        .authorize(user, head, is_draining, identified)?;
    record.note_permitted(RESPONSES, grant.token.as_deref());
    let call = Call {
        permitted: grant.call,
        body,
        permit: grant.permit,
        reserved: grant.reserved,
        connection_state,
        record,
        dumps: shared.dumps.clone(),
    };
    forward(call, shared.credential, &shared.upstream, &shared.limits).await
}

/// Begins the drain before it answers, so that whoever has the answer finds the
/// proxy draining. A second time the answer goes out first: the connection ends
/// with it, and its end is the end of the proxy (`downstream/accept.rs`).
async fn shut_down(
    State(shared): State<Arc<Shared>>,
    Extension(connection_state): Extension<Arc<ConnectionState>>,
    Extension(record): Extension<Arc<Record>>,
    request: Request<Body>,
) -> Response {
    let (head, _) = request.into_parts();
    let permitted = policy::permit_shutdown(&head);
    match permitted.and_then(|()| shared.access.tokens.check(&head.headers)) {
        Ok(token) => record.note_permitted(SHUTDOWN, token.as_deref()),
        Err(refusal) => return refusal.into_response(),
    }
    if shared.shutdown.is_begun() {
        connection_state.end_with_this();
    } else {
        shared.shutdown.advance();
    }
    let mut response = Response::new(Body::empty());
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

async fn refuse(request: Request<Body>) -> Refusal {
    let (head, _) = request.into_parts();
    match policy::check(&head) {
        Err(refusal) => refusal,
        Ok(()) => Refusal::path(&head.method, &head.uri),
    }
}
