//! In which coding a request's body is.

use std::fmt;

use http::HeaderMap;
use http::header::CONTENT_ENCODING;

/// The coding of a body (RFC 9110, section 8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestEncoding {
    Identity,
    Gzip,
    Zstd,
}

/// A coding that cannot be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnsupportedEncoding;

impl fmt::Display for UnsupportedEncoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a request has to be readable for the proxy's policy: send its body as it is, or with one \
             Content-Encoding, gzip or zstd",
        )
    }
}

impl std::error::Error for UnsupportedEncoding {}

impl RequestEncoding {
    /// By the fields of a request. More than one coding would have to be undone in turn.
    ///
    /// # Errors
    ///
    /// [`UnsupportedEncoding`].
    pub(crate) fn from_headers(headers: &HeaderMap) -> Result<Self, UnsupportedEncoding> {
        let mut values = headers.get_all(CONTENT_ENCODING).iter();
        let Some(value) = values.next() else {
            return Ok(Self::Identity);
        };
        let coding = value.as_bytes().trim_ascii();
        let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
        if values.next().is_some() {
            Err(UnsupportedEncoding)
        } else if is("") || is("identity") {
            Ok(Self::Identity)
        } else if is("gzip") || is("x-gzip") {
            Ok(Self::Gzip)
        } else if is("zstd") {
            Ok(Self::Zstd)
        } else {
            Err(UnsupportedEncoding)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_coding_that_is_known_or_none() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, value.parse().unwrap());
            }
            RequestEncoding::from_headers(&headers).ok()
        };
        assert_eq!(of(&[]), Some(RequestEncoding::Identity));
        assert_eq!(of(&["identity"]), Some(RequestEncoding::Identity));
        assert_eq!(of(&[" GZip "]), Some(RequestEncoding::Gzip));
        assert_eq!(of(&["x-gzip"]), Some(RequestEncoding::Gzip));
        assert_eq!(of(&["zstd"]), Some(RequestEncoding::Zstd));
        for values in [
            &["br"][..],
            &["gzip, zstd"],
            &["gzip", "gzip"],
            &["identity", "gzip"],
            &["deflate"],
            &["gzip;q=1"],
        ] {
            assert_eq!(of(values), None, "{values:?}");
        }
    }
}
