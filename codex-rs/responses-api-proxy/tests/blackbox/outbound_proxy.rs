//! The HTTP proxy between this one and the upstream, as the environment names it.

use codex_test_support::{MockUpstream, Reply, TEST_KEY, assert_openai_error, run_to_exit};

use crate::{PROXY, ask, in_front_of};

#[test]
fn an_http_upstream_is_never_reached_through_a_proxy() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let recorder = MockUpstream::h1(Reply::responses("never"));
    let url = format!("http://{}", recorder.addr());
    let mut proxy = in_front_of(&upstream);
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "ALL_PROXY",
        "all_proxy",
    ] {
        proxy = proxy.env(name, url.clone());
    }
    let proxy = proxy.start();
    assert_eq!(ask(&proxy).status, 200);
    assert_eq!(recorder.connections(), 0);
}

#[test]
fn an_https_upstream_is_reached_through_connect_and_the_banner_says_so() {
    let upstream = MockUpstream::h2(Reply::responses("never"));
    let recorder = MockUpstream::h1(Reply::new(403));
    let url = format!("http://user:hunter2@{}", recorder.addr());
    for name in ["HTTPS_PROXY", "ALL_PROXY"] {
        let proxy = in_front_of(&upstream).env(name, url.clone()).start();
        let banner = proxy.wait_for_stderr("through the proxy");
        assert!(
            banner.contains(&format!("http://{}", recorder.addr())),
            "{banner}"
        );
        assert!(!banner.contains("hunter2"), "{banner}");
        let answer = ask(&proxy);
        assert_openai_error(&answer, 502, "upstream_connect");
    }
    for request in recorder.wait_for_requests(2) {
        assert_eq!(request.method, "CONNECT");
        assert_eq!(request.header("authorization"), None);
    }
    let exempt = in_front_of(&upstream)
        .env("HTTPS_PROXY", url)
        .env("NO_PROXY", "127.0.0.1")
        .start();
    assert_eq!(ask(&exempt).status, 200);
}

#[test]
fn a_proxy_that_cannot_be_used_is_named_at_the_start() {
    let ca = MockUpstream::h2(Reply::silence());
    let env = [
        ("ALL_PROXY", "socks5://127.0.0.1:1"),
        ("SSL_CERT_FILE", ca.ca_file().to_str().unwrap()),
    ]
    .map(|(n, v)| (n.to_owned(), v.to_owned()));
    let env: Vec<(&str, &str)> = env.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let output = run_to_exit(PROXY, &[], &env, TEST_KEY.as_bytes());
    assert_eq!(output.code, Some(1));
    assert!(output.stderr.contains("socks5"), "{}", output.stderr);
}
