//! The codes of refusals and faults. A test of the proxy walks through all that it has: none may be missing here.

use crate::why::explanation::Explanation;

pub(super) fn code(name: &str) -> Option<Explanation> {
    let (happened, mend) = of_caller(name)
        .or_else(|| of_policy(name))
        .or_else(|| of_proxy(name))
        .or_else(|| of_upstream(name))?;
    Some(Explanation { happened, mend })
}

/// What happened, and what to do.
type Texts = (&'static str, &'static str);

/// How a request was made, and by whom.
fn of_caller(name: &str) -> Option<Texts> {
    Some(match name {
        "bad_request" => (
            "The head of the request cannot be read in exactly one way, so it was not read at all.",
            "Mend what made the request: the message names the rule that it broke.",
        ),
        "headers_too_large" => (
            "The head of the request is too large: over 64 KiB or 256 headers, or over 8 KiB of what would be forwarded.",
            "Send fewer and shorter headers.",
        ),
        "header_timeout" => (
            "The head of the request did not come in time (--header-timeout).",
            "Send it at once; a connection on which nothing is asked need not be opened.",
        ),
        "body_cut_short" => (
            "The request ended before the length that it said it has.",
            "Send the whole body, with the right Content-Length.",
        ),
        "body_stalled" => (
            "The rest of the request did not come in time (--body-timeout).",
            "Send it without pauses; whoever runs the proxy can allow longer ones.",
        ),
        "body_too_large" => (
            "The request is larger than --max-body allows.",
            "Send less, or have whoever runs the proxy raise --max-body.",
        ),
        "content_encoding_not_supported" => (
            "The request is compressed in a way that cannot be looked into, and a policy is in force.",
            "Send it as it is, or as gzip or zstd.",
        ),
        "path_not_allowed" => (
            "The path is not one that the proxy forwards.",
            "Use POST /v1/responses: the base URL of the client is http://127.0.0.1:PORT/v1, and its API the Responses \
             API (wire_api = \"responses\").",
        ),
        "method_not_allowed" => (
            "The method is not one that the proxy forwards.",
            "Use POST /v1/responses; a client that sends CONNECT takes the proxy for an HTTP proxy.",
        ),
        "host_not_allowed" => (
            "The Host header names another host than this one, as a web page does under DNS rebinding.",
            "Call it as 127.0.0.1, [::1] or localhost.",
        ),
        "browser_not_allowed" => (
            "A browser sent the request: it has an Origin or another of a browser's headers.",
            "Call from a program, not from a web page.",
        ),
        "websocket_not_supported" => (
            "The client asked for a WebSocket, which is not served.",
            "Use plain HTTP; in Codex, supports_websockets = false in the provider's table.",
        ),
        "caller_not_allowed" => (
            "The caller may not use this proxy: --allow-user and --allow-group name others, or the policy has no table \
             for it.",
            "Ask whoever runs the proxy to add the user, the group or the token.",
        ),
        "client_token_required" => (
            "The proxy asks for a client token, and the request had none, or a wrong one.",
            "Send the token as the API key (Authorization: Bearer TOKEN); whoever runs the proxy gives it out, or the \
             server-info file has it.",
        ),
        _ => return None,
    })
}

/// What the policy says.
fn of_policy(name: &str) -> Option<Texts> {
    Some(match name {
        "model_not_allowed" => (
            "The policy does not allow this caller the model.",
            "Ask for one of the models in the message, or have whoever runs the proxy add it to `models` in the policy.",
        ),
        "request_not_allowed" => (
            "The policy does not allow the request as it is, or its body cannot be read in exactly one way.",
            "Mend what the message names, or have whoever runs the proxy change that rule of the policy \
             (codex responses-api-proxy policy explain tells which).",
        ),
        "budget_exceeded" => (
            "A limit of the policy is spent; the message names whose it is, and when it is renewed.",
            "Wait until then, or ask whoever runs the proxy for a higher limit.",
        ),
        "rate_limited" => (
            "A limit of the policy on requests or tokens in a short time, or at once, is reached; the message names it.",
            "Try again after the seconds in Retry-After; send less at once.",
        ),
        "price_unknown" => (
            "There is a limit in dollars, and the price of the model or of its service tier is not known.",
            "Ask for another model, or have whoever runs the proxy add its price to [prices] in the policy.",
        ),
        _ => return None,
    })
}

/// What the proxy itself has no room for, or cannot do now.
fn of_proxy(name: &str) -> Option<Texts> {
    Some(match name {
        "too_many_requests" => (
            "As many requests as --max-requests allows were in flight.",
            "Try again; whoever runs the proxy can raise --max-requests.",
        ),
        "too_many_connections" => (
            "As many connections as --max-connections allows were busy.",
            "Try again; whoever runs the proxy can raise --max-connections.",
        ),
        "too_many_connections_of_user" => (
            "The user had as many connections as one user may have (--max-connections-per-user, or half of all).",
            "Close some, or have whoever runs the proxy raise the limit.",
        ),
        "overloaded" => (
            "Too many unfinished request heads were there at once, most of them this user's.",
            "Try again; look for what opens connections and sends nothing.",
        ),
        "shutting_down" => (
            "The proxy was shutting down, and finished only what was in flight.",
            "Try again once it was started anew.",
        ),
        "audit_unavailable" => (
            "The audit log could not be written, and the proxy serves nothing without it (--audit-required).",
            "Tell whoever runs the proxy: its disk may be full. Its standard error has the cause.",
        ),
        "credential_unavailable" => (
            "The proxy had no credential to call the upstream with: an access token has expired or was refused, and no \
             new one could be had.",
            "Try again; if it stays so tell whoever runs the proxy. The message has the cause.",
        ),
        _ => return None,
    })
}

/// What went wrong on the way to the upstream, and there.
fn of_upstream(name: &str) -> Option<Texts> {
    Some(match name {
        "upstream_connect" => (
            "No connection to the upstream, or to or through the HTTP proxy on the way, could be made.",
            "Try again; whoever runs the proxy should look at the network, the firewall and HTTPS_PROXY.",
        ),
        "upstream_dns" => (
            "The name of the upstream has no address.",
            "Whoever runs the proxy should look at --upstream-url and the resolver (/etc/resolv.conf).",
        ),
        "upstream_tls" => (
            "There was no TLS to the upstream, or its certificate is not good.",
            "Whoever runs the proxy should look at the clock, SSL_CERT_FILE and --upstream-url; a TLS-inspecting proxy \
             needs its authority there.",
        ),
        "upstream_protocol" => (
            "What answered does not speak HTTP.",
            "Whoever runs the proxy should look at --upstream-url.",
        ),
        "upstream_headers" => (
            "The head of the upstream's answer is too large.",
            "Whoever runs the proxy should look at what answers at --upstream-url.",
        ),
        "upstream_closed" => (
            "The upstream closed the connection before it had answered, or in the middle of its answer.",
            "Try again.",
        ),
        "upstream_timeout" => (
            "No connection to the upstream came about in time, or it did not answer in time (--upstream-timeout).",
            "Try again; whoever runs the proxy can allow it more time.",
        ),
        "upstream_listener" => (
            "The upstream is on this host, in cleartext, and its port belongs to a user who may not have the key.",
            "Whoever runs the proxy should name that user with --upstream-user, if it is the right one.",
        ),
        "upstream_busy" => (
            "The caller had as many connections to the upstream as one may have, and none was free in time.",
            "Try again, with fewer requests at once.",
        ),
        "upstream_coding" => (
            "The upstream answered in a coding or in parts that it was not asked for; the proxy passes on only what it \
             can look into.",
            "Whoever runs the proxy should look at what answers at --upstream-url.",
        ),
        "upstream_redirect" => (
            "The upstream answered with a redirect, which is never followed: the key would go elsewhere.",
            "Whoever runs the proxy should set --upstream-url to where requests should go.",
        ),
        _ => return None,
    })
}
