use super::*;

fn url(value: &str) -> Result<(String, Option<String>), Fault> {
    match named(value)? {
        Named::Usable(url, authorization) => {
            let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
            Ok((url.to_string(), authorization))
        }
        Named::Unusable(fault) => Err(fault),
    }
}

#[test]
fn a_proxy_is_read_in_one_way() {
    for (value, expected) in [
        ("http://proxy:3128", "http://proxy:3128/"),
        ("http://proxy:3128/", "http://proxy:3128/"),
        ("HTTPS://proxy", "https://proxy/"),
        ("proxy:3128", "http://proxy:3128/"),
        ("10.0.0.1:1", "http://10.0.0.1:1/"),
        ("http://[::1]:3128", "http://[::1]:3128/"),
    ] {
        assert_eq!(url(value), Ok((expected.to_owned(), None)), "{value}");
    }
    // Base64 of `alice:12#34` and of `a@b:c:d`.
    for (value, basic) in [
        ("http://alice:12%2334@proxy:3128", "Basic YWxpY2U6MTIjMzQ="),
        ("alice:12%2334@proxy:3128", "Basic YWxpY2U6MTIjMzQ="),
        ("http://a%40b:c:d@proxy:3128", "Basic YUBiOmM6ZA=="),
    ] {
        let expected = ("http://proxy:3128/".to_owned(), Some(basic.to_owned()));
        assert_eq!(url(value), Ok(expected), "{value}");
    }
}

#[test]
fn what_could_be_read_in_another_way_is_refused() {
    use Fault::{Character, Code, Host, Scheme, UnknownScheme};
    for (value, fault) in [
        ("http://alice:12#34@proxy:3128", Character),
        ("http://alice:12/34@proxy:3128", Character),
        ("http://alice:12?34@proxy:3128", Character),
        ("http://alice:12@34@proxy:3128", Character),
        ("http://alice:1 2@proxy:3128", Character),
        ("http://alice:\\@proxy:3128", Character),
        ("http://älice:1@proxy:3128", Character),
        ("http://@proxy:3128", Character),
        (" http://proxy:3128", UnknownScheme),
        ("http://proxy:3128 ", Character),
        ("http://proxy:3128/path", Character),
        ("http://proxy:3128?q", Character),
        ("http://proxy:3128\n", Character),
        ("http:/proxy:3128", Character),
        ("http://alice:12%@proxy:3128", Code),
        ("http://alice:%zz@proxy:3128", Code),
        ("http://alice:%ff@proxy:3128", Code),
        ("http://alice:%0d%0a@proxy:3128", Code),
        ("http://", Host),
        ("http://:3128", Host),
        ("http://proxy:", Host),
        ("http://proxy:0", Host),
        ("http://proxy:99999", Host),
        ("http://proxy:port", Host),
        ("http://::1", Host),
        ("socks://h:1", Scheme("socks")),
        ("SOCKS5://h:1", Scheme("socks5")),
        ("socks5h://user:pw@h:1", Scheme("socks5h")),
        ("htp://h", UnknownScheme),
        ("hunter2://h", UnknownScheme),
    ] {
        assert_eq!(url(value), Err(fault), "{value}");
    }
}

#[test]
fn an_upstream_is_exempt_if_it_is_named() {
    let upstream = Url::parse("https://api.example.com/v1/responses").unwrap();
    for (list, is_named) in [
        ("*", true),
        ("api.example.com", true),
        ("API.example.com", true),
        ("example.com", true),
        (".example.com", true),
        ("*.example.com", true),
        ("a.org, example.com", true),
        ("a.org example.com", true),
        ("example.com:443", true),
        ("*.example.com:443", true),
        ("example.com:8443", false),
        ("ample.com", false),
        ("10.0.0.0/8", false),
        ("::1", false),
        (",,", false),
    ] {
        assert_eq!(is_exempt(list, &upstream), Ok(is_named), "{list}");
    }
    let at = |host: &str| Url::parse(&format!("https://{host}/")).unwrap();
    for (list, host, is_named) in [
        ("10.0.0.0/8", "10.1.2.3", true),
        ("10.1.2.3", "10.1.2.3", true),
        ("10.1.2.3:443", "10.1.2.3", true),
        ("::1", "[::1]", true),
        ("[::1]", "[::1]", true),
        ("[::1]:443", "[::1]", true),
        ("[::1]:1", "[::1]", false),
        ("fd00::/8", "[fd12::1]", true),
        ("*", "10.1.2.3", true),
        ("a.org,*", "[::1]", true),
        ("*:443", "10.1.2.3", true),
        ("*:1", "10.1.2.3", false),
    ] {
        assert_eq!(is_exempt(list, &at(host)), Ok(is_named), "{list}");
    }
}

#[test]
fn an_entry_that_exempts_nothing_is_counted_out() {
    let upstream = Url::parse("https://api.example.com/").unwrap();
    for (list, number) in [
        ("a.*.com", 1),
        ("*example.com", 1),
        ("https://api.example.com", 1),
        ("a.org,10.0.0.0/33", 2),
        ("a.org b.org/x", 2),
        ("10.0.0", 1),
        ("10.0.0.300", 1),
        (".", 1),
        ("a.org:port", 1),
        ("a.org:1:2", 1),
    ] {
        let refused = is_exempt(list, &upstream);
        assert_eq!(refused, Err(Fault::Exemption(number)), "{list}");
    }
}
