use super::*;

#[test]
fn https_goes_anywhere_and_keeps_its_query() {
    let upstream = UpstreamUrl::parse("https://example.com/v1/responses?api-version=1").unwrap();
    assert!(!upstream.is_clear());
    assert_eq!(upstream.url().query(), Some("api-version=1"));
}

#[test]
fn http_stays_on_this_host() {
    for url in [
        "http://127.0.0.1:1/x",
        "http://127.8.9.10/x",
        "http://[::1]:9/x",
        "http://localhost/x",
        "http://LOCALHOST/x",
    ] {
        assert!(UpstreamUrl::parse(url).unwrap().is_clear(), "{url}");
    }
    for url in [
        "http://10.0.0.1/x",
        "http://0.0.0.0/x",
        "http://[::]/x",
        "http://localhost.example.com/x",
        "http://127.0.0.1.example.com/x",
    ] {
        assert!(
            matches!(UpstreamUrl::parse(url), Err(UpstreamUrlError::ClearText(_))),
            "{url}"
        );
    }
}

#[test]
fn a_unix_socket_has_a_path_and_may_have_a_target() {
    let plain = UpstreamUrl::parse("unix:/run/gateway.sock").unwrap();
    assert!(plain.is_clear());
    assert_eq!(plain.socket(), Some(Path::new("/run/gateway.sock")));
    assert_eq!(plain.url().path(), "/v1/responses");
    let other = UpstreamUrl::parse("unix:/run/gateway.sock:/openai/responses?v=1").unwrap();
    assert_eq!(other.socket(), plain.socket());
    assert_eq!(
        (other.url().path(), other.url().query()),
        ("/openai/responses", Some("v=1"))
    );
    for wrong in [
        "unix:",
        "unix:gateway.sock",
        "unix:/run/x:responses",
        "unix://run/x",
    ] {
        let parsed = UpstreamUrl::parse(wrong);
        let is_socket = |url: &UpstreamUrl| url.socket().is_some();
        assert!(
            parsed
                .as_ref()
                .map_or(true, |url| wrong == "unix://run/x" && is_socket(url)),
            "{wrong}: {parsed:?}"
        );
    }
}

#[test]
fn the_rest_is_refused_for_its_own_reason() {
    use UpstreamUrlError::{NotAUrl, Scheme, UserInfo};
    assert!(matches!(UpstreamUrl::parse("nope"), Err(NotAUrl(_))));
    assert!(matches!(UpstreamUrl::parse(""), Err(NotAUrl(_))));
    assert!(matches!(UpstreamUrl::parse("https://"), Err(NotAUrl(_))));
    assert!(matches!(
        UpstreamUrl::parse("ftp://example.com/"),
        Err(Scheme(_))
    ));
    assert!(matches!(
        UpstreamUrl::parse("file:///etc/passwd"),
        Err(Scheme(_))
    ));
    assert!(matches!(
        UpstreamUrl::parse("https://me@example.com/"),
        Err(UserInfo)
    ));
    assert!(matches!(
        UpstreamUrl::parse("https://:pw@example.com/"),
        Err(UserInfo)
    ));
}

#[test]
fn a_base_url_is_told_from_that_of_a_call() {
    for (url, whole) in [
        ("https://host", Some("https://host/v1/responses")),
        ("https://host/", Some("https://host/v1/responses")),
        ("https://host/v1", Some("https://host/v1/responses")),
        ("https://host/v1/", Some("https://host/v1/responses")),
        (
            "https://host/openai/v1?v=1",
            Some("https://host/openai/v1/responses?..."),
        ),
        (
            "https://host/v1/responses/",
            Some("https://host/v1/responses"),
        ),
        (
            "http://127.0.0.1:1/v1",
            Some("http://127.0.0.1:1/v1/responses"),
        ),
        ("unix:/run/s:/v1", Some("unix:/run/s:/v1/responses")),
        ("https://host/v1/responses", None),
        ("https://host/openai/responses?v=1", None),
        ("unix:/run/s", None),
    ] {
        let said = UpstreamUrl::parse(url).unwrap().if_it_is_a_base();
        assert_eq!(said.as_deref(), whole, "{url}");
    }
}

#[test]
fn what_stands_in_a_query_is_not_shown() {
    let url = UpstreamUrl::parse("https://host/responses?api-version=1&sig=hunter2").unwrap();
    let shown = url.to_string();
    assert_eq!(shown, "https://host/responses?...");
    assert!(UpstreamUrl::parse("https://host/responses#x").is_err());
}

#[test]
fn an_error_does_not_repeat_user_info() {
    let error = UpstreamUrl::parse("https://me:hunter2@example.com/").unwrap_err();
    assert!(!error.to_string().contains("hunter2"));
}
