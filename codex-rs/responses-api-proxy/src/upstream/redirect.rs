//! Where a redirect would have led: for messages, since none is followed.

use http::HeaderValue;
use url::Url;

/// Scheme, host and port of a `Location`; its path and query may hold secrets.
pub(crate) fn origin_of(location: Option<&HeaderValue>, from: &Url) -> String {
    let target = location
        .and_then(|value| value.to_str().ok())
        .and_then(|text| from.join(text).ok())
        .map(|target| target.origin());
    match target {
        Some(origin) if origin == from.origin() => "another path of its own".to_owned(),
        Some(origin) if origin.is_tuple() => origin.ascii_serialization(),
        _ => "no place that can be named".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_names_an_origin_and_no_more() {
        let from = Url::parse("https://api.example/v1/responses").unwrap();
        for (location, origin) in [
            ("https://me:pw@a.example:8/x?token=1", "https://a.example:8"),
            ("//b.example/x?token=1", "https://b.example"),
            ("http://api.example/", "http://api.example"),
            ("/v2/responses?token=1", "another path of its own"),
            ("data:text/plain,x", "no place that can be named"),
        ] {
            let value = HeaderValue::from_static(location);
            assert_eq!(origin_of(Some(&value), &from), origin);
        }
        assert_eq!(origin_of(None, &from), "no place that can be named");
    }
}
