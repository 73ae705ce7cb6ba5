//! Which calls may carry the credential. Pure: no I/O, no state.
//!
//! The answer is a [`PermittedCall`], which only this file can make and which
//! `forward.rs` demands: a request that was not judged cannot get the key.

use http::request::Parts;
use http::{HeaderMap, Method, Uri};

use crate::inbound::MASKED_UPGRADE;
use crate::refusal::Refusal;

/// The one path that is forwarded, compared byte for byte.
pub(crate) const RESPONSES: &str = "/v1/responses";
/// The path that ends the proxy, where that was asked for.
pub(crate) const SHUTDOWN: &str = "/shutdown";

/// Proof that a request was found to be a `POST /v1/responses`.
#[derive(Debug)]
pub(crate) struct PermittedCall(());

/// Judges a request by its head.
///
/// # Errors
///
/// The [`Refusal`] to answer with.
pub(crate) fn permit(head: &Parts) -> Result<PermittedCall, Refusal> {
    if !is_exactly(&head.uri, RESPONSES) {
        return Err(Refusal::path(&head.method, &head.uri));
    }
    if asks_for_websocket(&head.headers) {
        return Err(Refusal::WebSocket);
    }
    if head.method != Method::POST {
        return Err(Refusal::method(&head.method));
    }
    Ok(PermittedCall(()))
}

/// Whether a request is the `GET /shutdown` and nothing that merely looks like it.
pub(crate) fn is_shutdown(head: &Parts) -> bool {
    head.method == Method::GET && is_exactly(&head.uri, SHUTDOWN)
}

/// Origin-form (RFC 9112, section 3.2.1), that path, no query, not even an empty one.
fn is_exactly(uri: &Uri, path: &str) -> bool {
    uri.scheme().is_none()
        && uri.authority().is_none()
        && uri.path_and_query().is_some_and(|asked| asked == path)
}

/// RFC 6455, section 4.2.1. Codex tries a WebSocket first where it believes in one.
fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get_all(MASKED_UPGRADE)
        .iter()
        .any(|value| value.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(method: &str, target: &str) -> Result<PermittedCall, Refusal> {
        let request = http::Request::builder()
            .method(method)
            .uri(target)
            .body(())
            .unwrap();
        permit(&request.into_parts().0)
    }

    #[test]
    fn the_one_call_is_permitted() {
        assert!(judge("POST", "/v1/responses").is_ok());
    }

    #[test]
    fn every_other_target_is_refused_by_path() {
        for target in [
            "/",
            "/v1",
            "/v1/",
            "/v1/responses/",
            "//v1/responses",
            "/v1//responses",
            "/v1/responses?x=1",
            "/v1/responses?",
            "/v1/%72esponses",
            "/V1/responses",
            "/v1/Responses",
            "/v1/responses/compact",
            "/v1/responses/resp_1",
            "/v1/models",
            "/v1/chat/completions",
            "/v1/./responses",
            "/v1/x/../responses",
            "/v1/responses;x",
            "/shutdown",
            "http://127.0.0.1/v1/responses",
            "http://evil.example/v1/responses",
            "*",
        ] {
            for method in ["POST", "GET", "CONNECT"] {
                assert!(
                    matches!(judge(method, target), Err(Refusal::PathNotAllowed { .. })),
                    "{method} {target}"
                );
            }
        }
    }

    #[test]
    fn every_other_method_is_refused_by_method() {
        for method in [
            "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "post", "POSTX",
        ] {
            assert!(
                matches!(
                    judge(method, "/v1/responses"),
                    Err(Refusal::MethodNotAllowed { .. })
                ),
                "{method}"
            );
        }
    }

    #[test]
    fn a_websocket_is_told_to_use_http() {
        let request = http::Request::get("/v1/responses")
            .header(MASKED_UPGRADE, "WebSocket")
            .body(())
            .unwrap();
        assert!(matches!(
            permit(&request.into_parts().0),
            Err(Refusal::WebSocket)
        ));
    }

    #[test]
    fn shutdown_is_one_spelling_of_one_method() {
        let is = |method: &str, target: &str| {
            let request = http::Request::builder()
                .method(method)
                .uri(target)
                .body(())
                .unwrap();
            is_shutdown(&request.into_parts().0)
        };
        assert!(is("GET", "/shutdown"));
        for (method, target) in [
            ("POST", "/shutdown"),
            ("HEAD", "/shutdown"),
            ("get", "/shutdown"),
            ("GET", "/shutdown/"),
            ("GET", "/shutdown?x"),
            ("GET", "/shutdown?"),
            ("GET", "//shutdown"),
            ("GET", "http://127.0.0.1/shutdown"),
        ] {
            assert!(!is(method, target), "{method} {target}");
        }
    }
}
