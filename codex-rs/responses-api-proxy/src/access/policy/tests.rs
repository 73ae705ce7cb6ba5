use super::*;

fn reason<T>(checked: Result<T, Refusal>) -> Option<Reason> {
    checked.err().map(|refusal| refusal.reason())
}

fn checked(method: &str, target: &str) -> Result<(), Refusal> {
    check(&head(method, target))
}

fn head(method: &str, target: &str) -> Parts {
    let request = http::Request::builder()
        .method(method)
        .uri(target)
        .header("host", "localhost");
    request.body(()).unwrap().into_parts().0
}

#[test]
fn the_one_call_is_permitted() {
    assert!(checked("POST", "/v1/responses").is_ok());
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
            let refused = reason(checked(method, target));
            assert_eq!(refused, Some(Reason::PathNotAllowed), "{method} {target}");
        }
    }
}

#[test]
fn every_other_method_is_refused_by_method() {
    for method in [
        "GET", "HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "post", "POSTX",
    ] {
        let refused = reason(checked(method, "/v1/responses"));
        assert_eq!(refused, Some(Reason::MethodNotAllowed), "{method}");
    }
}

#[test]
fn a_websocket_is_told_to_use_http() {
    let request = http::Request::get("/v1/responses")
        .header("host", "localhost")
        .header(MASKED_UPGRADE, "WebSocket")
        .body(())
        .unwrap();
    let refused = reason(check(&request.into_parts().0));
    assert_eq!(refused, Some(Reason::WebSocket));
}

fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, value.parse().unwrap());
    }
    headers
}

#[test]
fn this_host_is_named_by_its_name_or_an_address_with_any_port() {
    for host in [
        "localhost",
        "localhost:1",
        "LocalHost:65535",
        "127.0.0.1",
        "127.0.0.1:8787",
        "127.8.9.10:1",
        "[::1]",
        "[::1]:8787",
    ] {
        assert!(
            refuse_browsers(&headers(&[("host", host)])).is_ok(),
            "{host}"
        );
    }
}

#[test]
fn every_other_host_is_refused() {
    for host in [
        "",
        "evil.example",
        "evil.example:8787",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "0.0.0.0",
        "0",
        "[::]",
        "[::ffff:127.0.0.1]",
        "10.0.0.1",
        "localhost.",
        "x@localhost",
        "127.0.0.1@evil.example",
        "localhost:1:2",
        "localhost/",
        "::1",
        "2130706433",
        "0x7f.1",
        "[::1].evil.example",
        "[::1]evil:80",
        "localhost:x",
        "localhost:80x",
    ] {
        let refused = refuse_browsers(&headers(&[("host", host)]));
        assert_eq!(reason(refused), Some(Reason::Host), "{host}");
    }
    assert_eq!(reason(refuse_browsers(&headers(&[]))), Some(Reason::Host));
    let two = headers(&[("host", "localhost"), ("host", "localhost")]);
    assert_eq!(reason(refuse_browsers(&two)), Some(Reason::Host));
}

#[test]
fn what_a_browser_says_of_itself_is_enough() {
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://127.0.0.1:8787"),
        ("origin", ""),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-site", "same-origin"),
    ] {
        let refused = refuse_browsers(&headers(&[("host", "localhost"), (name, value)]));
        assert_eq!(reason(refused), Some(Reason::Browser), "{name}: {value}");
    }
    let typed = headers(&[("host", "localhost"), ("sec-fetch-site", "none")]);
    assert!(refuse_browsers(&typed).is_ok());
}

#[test]
fn a_prefetch_that_a_page_ordered_does_not_shut_down() {
    for (name, value) in [
        ("sec-fetch-site", "none"),
        ("sec-purpose", "prefetch"),
        ("sec-purpose", ""),
        ("purpose", "prefetch"),
        ("x-moz", "prefetch"),
        ("x-purpose", "preview"),
        ("sec-fetch-mode", "navigate"),
        ("sec-fetch-mode", "websocket"),
        ("sec-fetch-mode", "Cors"),
        ("sec-fetch-mode", ""),
        ("sec-fetch-dest", "document"),
        ("sec-fetch-dest", "image"),
        ("sec-fetch-user", "?1"),
        ("sec-ch-ua", "x"),
        ("sec-ch-ua-mobile", "?0"),
    ] {
        let request = http::Request::get("/shutdown")
            .header("host", "localhost")
            .header(name, value)
            .body(())
            .unwrap();
        let refused = permit_shutdown(&request.into_parts().0);
        assert_eq!(reason(refused), Some(Reason::Browser), "{name}: {value}");
    }
}

#[test]
fn shutdown_is_one_spelling_of_one_method() {
    let is = |method: &str, target: &str| permit_shutdown(&head(method, target)).is_ok();
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

#[test]
fn metrics_are_one_spelling_of_one_method_and_of_no_browser() {
    assert!(permit_metrics(&head("GET", "/metrics")).is_ok());
    for (method, target, expected) in [
        ("POST", "/metrics", Reason::MethodNotAllowed),
        ("HEAD", "/metrics", Reason::MethodNotAllowed),
        ("get", "/metrics", Reason::MethodNotAllowed),
        ("GET", "/metrics?", Reason::PathNotAllowed),
        ("GET", "//metrics", Reason::PathNotAllowed),
        ("GET", "/v1/responses", Reason::PathNotAllowed),
        ("POST", "/v1/responses", Reason::PathNotAllowed),
        ("GET", "http://127.0.0.1/metrics", Reason::PathNotAllowed),
    ] {
        let refused = permit_metrics(&head(method, target));
        assert_eq!(reason(refused), Some(expected), "{method} {target}");
    }
    let mut typed = head("GET", "/metrics");
    let site = http::HeaderValue::from_static("none");
    typed.headers.insert("sec-fetch-site", site);
    assert_eq!(reason(permit_metrics(&typed)), Some(Reason::Browser));
}
