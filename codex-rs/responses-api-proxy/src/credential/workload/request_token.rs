//! What is wrong with GitHub's request token. It is read from standard input as a key is
//! ([`read_api_key`](crate::credential::read_api_key)), and stays in a locked page of its own.

use std::error::Error;
use std::fmt;

use crate::credential::read_api_key::ReadKeyError;

/// Why there is no request token. Carries no byte of what was read.
#[derive(Debug)]
pub(crate) struct RequestTokenError(pub(crate) ReadKeyError);

impl fmt::Display for RequestTokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ReadKeyError::Missing => {
                "with --github-oidc standard input has to give the request token (printenv \
                 ACTIONS_ID_TOKEN_REQUEST_TOKEN | env -u ACTIONS_ID_TOKEN_REQUEST_TOKEN codex \
                 responses-api-proxy --github-oidc ...)"
            }
            ReadKeyError::TooLarge(_) => "the request token on stdin is longer than 8 KiB",
            ReadKeyError::ForbiddenCharacter(_) => {
                "the request token on stdin has a character that no token has"
            }
            ReadKeyError::SecondLine => {
                "stdin holds a second line after the request token; give the token alone, on one line"
            }
            ReadKeyError::Read(_) => "could not read the request token from stdin",
            ReadKeyError::Page(_) => "no safe place for the request token",
        })
    }
}

impl Error for RequestTokenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::locked::{EmptySlot, Room};
    use crate::credential::read_api_key::read_api_key;

    fn read(input: &[u8]) -> Result<Vec<u8>, String> {
        let slot = EmptySlot::for_good(Room::Token.page(true).unwrap(), Room::Token);
        let read = read_api_key(&mut &*input, slot);
        let token = read.map_err(|error| RequestTokenError(error).to_string())?;
        Ok(token.secret().to_vec())
    }

    #[test]
    fn one_line_with_dots_is_read_and_nothing_else() {
        for end in ["", "\n", "\r\n", "\n\n"] {
            let token = read(format!("eyJ0.e30.c2ln-_~+/=={end}").as_bytes());
            assert_eq!(token.unwrap(), b"eyJ0.e30.c2ln-_~+/==");
        }
        for (input, says) in [
            (&b""[..], "has to give the request token"),
            (b"\nabc", "has to give the request token"),
            (b"abc\ndef", "a second line"),
            (b"ab c\n", "no token has"),
            (b"ab\xff\n", "no token has"),
            (&[b'a'; 8193], "longer than 8 KiB"),
        ] {
            let said = read(input).unwrap_err();
            assert!(said.contains(says), "{said}");
        }
    }
}
