//! GitHub's request token, from standard input straight into the page that it stays in.

use std::fmt;
use std::io::{self, Read};

use zeroize::Zeroize;

use crate::credential::workload::reply::is_token68;

/// Why there is no request token. None of these carries a byte of what was read.
#[derive(Debug)]
pub(crate) enum RequestTokenError {
    Missing,
    TooLarge,
    ForbiddenCharacter,
    SecondLine,
    Read(io::Error),
}

impl fmt::Display for RequestTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "with --github-oidc standard input has to give the request token (printenv \
                 ACTIONS_ID_TOKEN_REQUEST_TOKEN | env -u ACTIONS_ID_TOKEN_REQUEST_TOKEN codex \
                 responses-api-proxy --github-oidc ...)"
            }
            Self::TooLarge => "the request token on stdin is longer than 8 KiB",
            Self::ForbiddenCharacter => {
                "the request token on stdin has a character that no token has"
            }
            Self::SecondLine => {
                "stdin holds a second line after the request token; give the token alone, on one line"
            }
            Self::Read(_) => "could not read the request token from stdin",
        })
    }
}

impl std::error::Error for RequestTokenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Reads one line to the beginning of `into`, where nothing else stays; returns its length without the line's end. Stops
/// at the newline without waiting for the end of input.
///
/// `input` must not buffer: what it holds back is a copy of the token.
///
/// # Errors
///
/// [`RequestTokenError`]; `into` is wiped then.
pub(crate) fn read_request_token(
    input: &mut impl Read,
    into: &mut [u8],
) -> Result<usize, RequestTokenError> {
    let read = read_line(input, into);
    let kept = *read.as_ref().unwrap_or(&0);
    into.get_mut(kept..).unwrap_or_default().zeroize();
    read
}

fn read_line(input: &mut impl Read, into: &mut [u8]) -> Result<usize, RequestTokenError> {
    let mut filled = 0;
    while !into.get(..filled).unwrap_or_default().contains(&b'\n') {
        let room = into.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            return Err(RequestTokenError::TooLarge);
        }
        match input.read(room) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(RequestTokenError::Read(error)),
        }
    }
    let text = into.get(..filled).unwrap_or_default();
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let rest = text.get(line.len()..).unwrap_or_default();
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let token = line.trim_ascii_end();
    if token.is_empty() {
        return Err(RequestTokenError::Missing);
    }
    if !rest.iter().all(is_end) {
        return Err(RequestTokenError::SecondLine);
    }
    if !is_token68(token) {
        return Err(RequestTokenError::ForbiddenCharacter);
    }
    Ok(token.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8]) -> Result<Vec<u8>, RequestTokenError> {
        let mut page = [7; 64];
        let read = read_request_token(&mut &*input, &mut page);
        let kept = *read.as_ref().unwrap_or(&0);
        assert!(page[kept..].iter().all(|&byte| byte == 0), "{input:?}");
        read.map(|len| page[..len].to_vec())
    }

    #[test]
    fn one_line_with_dots_is_read() {
        for end in ["", "\n", "\r\n", "\n\n"] {
            let token = read(format!("eyJ0.e30.c2ln-_~+/=={end}").as_bytes());
            assert_eq!(token.unwrap(), b"eyJ0.e30.c2ln-_~+/==");
        }
        assert_eq!(read(&[b'a'; 63]).unwrap().len(), 63);
    }

    #[test]
    fn everything_else_is_refused_and_nothing_of_it_stays() {
        use RequestTokenError::{ForbiddenCharacter, Missing, SecondLine, TooLarge};
        for (input, is_it) in [
            (&b""[..], (|e| matches!(e, Missing)) as fn(&_) -> bool),
            (b"\nabc", |e| matches!(e, Missing)),
            (b"abc\ndef", |e| matches!(e, SecondLine)),
            (b"ab c\n", |e| matches!(e, ForbiddenCharacter)),
            (b"=\n", |e| matches!(e, ForbiddenCharacter)),
            (b"ab\xff\n", |e| matches!(e, ForbiddenCharacter)),
            (&[b'a'; 64], |e| matches!(e, TooLarge)),
        ] {
            let error = read(input).unwrap_err();
            assert!(is_it(&error), "{input:?}: {error}");
        }
    }
}
