//! The chain of an audit log: each line has the hash of the line before.
//!
//! A line is a JSON object whose first member is `prev`: `{"prev":"HASH",` and then the members that the object has
//! of its own, then a line feed. HASH is SHA-256, in lowercase hexadecimal, of the bytes of the line before as they
//! stand in the file, its `prev` included, its line feed not; 64 zeros where there is no line before. So a chain is
//! checked without reading JSON.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};

/// The longest line, in bytes, without its line feed.
pub const LONGEST_LINE: usize = 16 * 1024 - 1;

const OPENING: &[u8] = b"{\"prev\":\"";
const CLOSING: &[u8] = b"\",";

/// How many digits a hash is written with.
const DIGITS: usize = 64;

/// The hash of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineHash([u8; DIGITS / 2]);

/// What is not a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAHash;

impl LineHash {
    /// In the place of that of a line before, where there is none.
    pub const NONE: Self = Self([0; DIGITS / 2]);

    /// Of a line without its line feed.
    pub fn of(line: &[u8]) -> Self {
        let mut hash = Self::NONE;
        for (to, from) in hash.0.iter_mut().zip(digest(&SHA256, line).as_ref()) {
            *to = *from;
        }
        hash
    }

    /// The hash of the line before, as this line has it, and the members that follow; `None` if it does not
    /// look like a line of an audit log.
    pub fn in_line(line: &[u8]) -> Option<(Self, &[u8])> {
        let (digits, rest) = line.strip_prefix(OPENING)?.split_at_checked(DIGITS)?;
        let members = rest.strip_prefix(CLOSING)?;
        let hash = Self::parse(digits, |digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))?;
        members.ends_with(b"}").then_some((hash, members))
    }

    fn parse(digits: &[u8], is_digit: fn(u8) -> bool) -> Option<Self> {
        if digits.len() != DIGITS || !digits.iter().all(|&digit| is_digit(digit)) {
            return None;
        }
        let mut hash = Self::NONE;
        for (to, pair) in hash.0.iter_mut().zip(digits.chunks(2)) {
            *to = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(hash)
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// As people write it: in either case.
impl FromStr for LineHash {
    type Err = NotAHash;

    fn from_str(text: &str) -> Result<Self, NotAHash> {
        Self::parse(text.as_bytes(), |digit| digit.is_ascii_hexdigit()).ok_or(NotAHash)
    }
}

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hash is {DIGITS} hexadecimal digits")
    }
}

impl std::error::Error for NotAHash {}

/// Where the next line is appended.
#[derive(Clone, Debug)]
pub struct Chain {
    last: LineHash,
    lines: u64,
}

impl Chain {
    /// One that begins behind the line of this hash.
    pub fn behind(last: LineHash) -> Self {
        Self { last, lines: 0 }
    }

    /// The hash of the last line.
    pub fn last(&self) -> LineHash {
        self.last
    }

    /// How many lines were appended to it here.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Appends the line of an object, which is `{`, a member or more, and `}`. False if it is not one, or is too
    /// long: then nothing is appended.
    pub fn append(&mut self, object: &[u8], to: &mut Vec<u8>) -> bool {
        let Some(members) = object.strip_prefix(b"{") else {
            return false;
        };
        let from = to.len();
        to.extend_from_slice(OPENING);
        to.extend_from_slice(self.last.to_string().as_bytes());
        to.extend_from_slice(CLOSING);
        to.extend_from_slice(members);
        let line = to.get(from..).unwrap_or_default();
        let is_line = line.len() <= LONGEST_LINE && LineHash::in_line(line).is_some();
        if is_line && !line.contains(&b'\n') {
            self.last = LineHash::of(line);
            self.lines += 1;
            to.push(b'\n');
            true
        } else {
            to.truncate(from);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_hash_of_the_bytes_of_the_line_before() {
        let mut chain = Chain::behind(LineHash::NONE);
        let mut log = Vec::new();
        assert!(chain.append(br#"{"a":1}"#, &mut log));
        assert!(chain.append(br#"{"b":[2]}"#, &mut log));
        // By sha256sum(1).
        let first = format!(r#"{{"prev":"{}","a":1}}"#, "0".repeat(64));
        let hash = "290f1aca51630f55517d381ffaeacc82b57ed83108e645d0aed32f2d21efd49d";
        let second = format!(r#"{{"prev":"{hash}","b":[2]}}"#);
        assert_eq!(
            String::from_utf8(log).unwrap(),
            format!("{first}\n{second}\n")
        );
        assert_eq!(chain.last(), LineHash::of(second.as_bytes()));
        assert_eq!(chain.lines(), 2);
        for line in [first, second] {
            assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        }
    }

    #[test]
    fn what_is_not_an_object_or_is_too_long_is_not_appended() {
        let mut chain = Chain::behind(LineHash::NONE);
        let mut log = Vec::new();
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(LONGEST_LINE));
        for object in ["", "[1]", "{\"a\":1", "{\"a\":\n1}", &long] {
            assert!(!chain.append(object.as_bytes(), &mut log));
        }
        assert_eq!((log.len(), chain.last()), (0, LineHash::NONE));
    }

    #[test]
    fn a_line_says_what_it_follows_in_one_way_only() {
        let digits = "0123456789abcdef".repeat(4);
        let line = format!(r#"{{"prev":"{digits}","a":1}}"#);
        let (hash, members) = LineHash::in_line(line.as_bytes()).unwrap();
        assert_eq!(
            (hash.to_string(), members),
            (digits.clone(), &br#""a":1}"#[..])
        );
        assert_eq!(digits.parse(), Ok(hash));
        assert_eq!(digits.to_uppercase().parse(), Ok(hash));
        assert_eq!("12".parse::<LineHash>(), Err(NotAHash));
        for other in [
            line.to_uppercase(),
            line.replace("abc", "ABC"),
            line.replace("\":\"", "\" :\""),
            line.replace('}', ""),
            format!(" {line}"),
            format!("{line} "),
            format!(r#"{{"prev":"{digits}"}}"#),
            String::new(),
        ] {
            assert_eq!(LineHash::in_line(other.as_bytes()), None, "{other}");
        }
    }
}
