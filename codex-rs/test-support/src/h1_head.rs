//! Reads one HTTP/1 request head as strictly as RFC 9112 allows, so that a test can show the
//! proxy sends nothing a lenient upstream might read in another way.

use http::Version;

use crate::answer::values;
use crate::recorded::RecordedRequest;

/// How the body of a request ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyLength {
    Exactly(u64),
    Chunked,
}

/// The end of the first head in `bytes`: past its empty line. Bare line feeds count, so that a
/// head written with them is found and then refused.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .find_map(|(at, _)| match &bytes[at + 1..] {
            [b'\n', ..] => Some(at + 2),
            [b'\r', b'\n', ..] => Some(at + 3),
            _ => None,
        })
}

/// Reads a head. Its fields are filled as far as they could be read; the error says what is
/// wrong with it.
pub(crate) fn read_head(raw: &[u8]) -> (RecordedRequest, Result<BodyLength, String>) {
    let mut request = RecordedRequest {
        raw_head: raw.to_vec(),
        ..RecordedRequest::empty()
    };
    let mut fields = vec![httparse::EMPTY_HEADER; 4096];
    let mut parsed = httparse::Request::new(&mut fields);
    let outcome = match parsed.parse(raw) {
        Ok(httparse::Status::Complete(end)) if end == raw.len() => Ok(()),
        Ok(_) => Err("the head does not end where it should".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    request.method = parsed.method.unwrap_or_default().to_owned();
    request.target = parsed.path.unwrap_or_default().to_owned();
    request.version = if parsed.version == Some(0) {
        Version::HTTP_10
    } else {
        Version::HTTP_11
    };
    request.headers = parsed
        .headers
        .iter()
        .take_while(|field| !field.name.is_empty())
        .map(|field| (field.name.to_owned(), field.value.to_vec()))
        .collect();
    let length = outcome
        .and_then(|()| lines(raw))
        .and_then(|()| body_length(&request));
    (request, length)
}

/// What the parser lets pass: line ends, folding, spacing, control characters.
fn lines(raw: &[u8]) -> Result<(), String> {
    for (at, byte) in raw.iter().enumerate() {
        match byte {
            b'\n' if at == 0 || raw[at - 1] != b'\r' => return Err(format!("a bare LF at {at}")),
            b'\r' if raw.get(at + 1) != Some(&b'\n') => return Err(format!("a bare CR at {at}")),
            b'\r' | b'\n' | b'\t' => {}
            0..=0x1f | 0x7f => return Err(format!("control character {byte:#x} at {at}")),
            _ => {}
        }
    }
    let mut lines = raw.split(|byte| *byte == b'\n');
    let request_line = lines.next().unwrap_or_default();
    if request_line.iter().filter(|byte| **byte == b' ').count() != 2
        || request_line.contains(&b'\t')
    {
        return Err("the request line does not have exactly two spaces".to_owned());
    }
    match lines.find(|line| line.starts_with(b" ") || line.starts_with(b"\t")) {
        Some(_) => Err("a folded or indented header line".to_owned()),
        None => Ok(()),
    }
}

/// RFC 9112 section 6.3, without any of the leniency it allows.
fn body_length(request: &RecordedRequest) -> Result<BodyLength, String> {
    let hosts = values(&request.headers, "host").len();
    if request.version == Version::HTTP_11 && hosts != 1 {
        return Err(format!("{hosts} Host headers"));
    }
    let codings = values(&request.headers, "transfer-encoding");
    let lengths = values(&request.headers, "content-length");
    match (codings.as_slice(), lengths.as_slice()) {
        ([], []) => Ok(BodyLength::Exactly(0)),
        ([], [length]) => digits(length).map(BodyLength::Exactly),
        ([coding], []) if !coding.eq_ignore_ascii_case(b"chunked") => Err(format!(
            "Transfer-Encoding {:?}",
            String::from_utf8_lossy(coding)
        )),
        ([_], []) if request.version == Version::HTTP_10 => {
            Err("Transfer-Encoding in HTTP/1.0".to_owned())
        }
        ([_], []) => Ok(BodyLength::Chunked),
        (codings, []) => Err(format!("{} Transfer-Encoding headers", codings.len())),
        ([], lengths) => Err(format!("{} Content-Length headers", lengths.len())),
        _ => Err("both Transfer-Encoding and Content-Length".to_owned()),
    }
}

fn digits(value: &[u8]) -> Result<u64, String> {
    let text = String::from_utf8_lossy(value);
    if value.iter().all(u8::is_ascii_digit)
        && let Ok(length) = text.parse()
    {
        return Ok(length);
    }
    Err(format!("Content-Length {text:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(raw: &str) -> String {
        assert_eq!(head_end(raw.as_bytes()), Some(raw.len()), "{raw:?}");
        read_head(raw.as_bytes()).1.expect_err(raw)
    }

    #[test]
    fn reads_a_plain_head() {
        let raw = b"POST /v1/responses?a HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 3\r\n\r\n";
        let (request, length) = read_head(raw);
        assert_eq!(length, Ok(BodyLength::Exactly(3)));
        assert_eq!(
            (request.method.as_str(), request.target.as_str()),
            ("POST", "/v1/responses?a")
        );
        assert_eq!(request.header_all("x-a"), [b"1", b"2"]);
        assert_eq!(request.raw_head, raw);
    }

    #[test]
    fn refuses_what_is_not_strict() {
        let with = |fields: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for (fields, word) in [
            (
                "Content-Length: 1\r\nContent-Length: 1\r\n",
                "2 Content-Length",
            ),
            (
                "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
                "both",
            ),
            ("Content-Length: +1\r\n", "Content-Length \"+1\""),
            ("Content-Length: 1, 1\r\n", "Content-Length \"1, 1\""),
            ("Content-Length:\r\n", "Content-Length \"\""),
            ("Transfer-Encoding: gzip, chunked\r\n", "gzip"),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
                "2 Transfer-Encoding",
            ),
            ("Host: b\r\n", "2 Host"),
            ("X-A: 1\nX-B: 2\r\n", "bare LF"),
            ("X-A: 1\r\n 2\r\n", ""),
            ("X-A : 1\r\n", ""),
            ("X-A: \u{0}\r\n", ""),
        ] {
            let error = error(&with(fields));
            assert!(error.contains(word), "{fields:?}: {error}");
        }
        assert!(error("POST / HTTP/1.1\n\n").contains("bare LF"));
        assert!(error("POST / HTTP/1.1\r\n\r\n").contains("0 Host"));
        assert!(!error("POST  / HTTP/1.1\r\nHost: a\r\n\r\n").is_empty());
    }
}
