//! One line -> `Bearer <key>`, in the locked memory that holds it.
//!
//! The key is read straight into its locked memory, behind the bytes `Bearer `,
//! with nothing that buffers in between, and is checked where it lies. On every
//! error it is wiped. No message repeats a byte of it.

#![cfg_attr(not(unix), allow(dead_code, reason = "only Unix has such sources"))]

use std::fmt;
use std::io::{self, Read};

use codex_secret_memory::PageError;

use crate::credential::locked::{EmptySlot, LockedCredential, NotACredential, Room};

/// Why there is no key. None of these carries a byte of what was read.
#[derive(Debug)]
pub(crate) enum ReadKeyError {
    Missing,
    TooLarge(Room),
    ForbiddenCharacter(Room),
    SecondLine,
    Read(io::Error),
    Page(PageError),
}

impl fmt::Display for ReadKeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str(
                "API key must be provided via stdin (e.g. printenv OPENAI_API_KEY | \
                 env -u OPENAI_API_KEY codex responses-api-proxy)",
            ),
            Self::TooLarge(room) => write!(
                f,
                "API key is too large to fit in the {}-byte buffer",
                room.plain()
            ),
            Self::ForbiddenCharacter(Room::Key) => {
                f.write_str("API key may only contain ASCII letters, numbers, '-' or '_'")
            }
            Self::ForbiddenCharacter(Room::Token) => f.write_str(
                "API key may only contain what a bearer token can have: ASCII letters, numbers, \
                 '-', '.', '_', '~', '+', '/' or '='",
            ),
            Self::SecondLine => f.write_str(
                "stdin holds a second line after the API key; give the key alone, on one line",
            ),
            Self::Read(_) => f.write_str("could not read the API key from stdin"),
            Self::Page(_) => f.write_str("no safe place for the API key"),
        }
    }
}

impl std::error::Error for ReadKeyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(cause) => Some(cause),
            Self::Page(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Reads one line and keeps it as the header value `Bearer <key>` in locked memory.
///
/// Stops at the first newline without waiting for the end of input, so that a
/// writer may keep its side open. Trailing `\r` and empty lines are dropped.
///
/// `input` must not buffer: what it holds back is a copy of the key.
///
/// # Errors
///
/// [`ReadKeyError`]; what was read is wiped then.
pub(crate) fn read_api_key(
    input: &mut impl Read,
    mut slot: EmptySlot,
) -> Result<LockedCredential, ReadKeyError> {
    let length = read_line(input, slot.token_mut());
    finish(slot, length)
}

/// The same, of an input that ends: a second line is an error however late it comes.
///
/// # Errors
///
/// [`ReadKeyError`]; what was read is wiped then.
pub(crate) fn read_whole_input(
    input: &mut impl Read,
    mut slot: EmptySlot,
) -> Result<LockedCredential, ReadKeyError> {
    let length = read_to_end(input, slot.token_mut());
    finish(slot, length)
}

/// Takes the first `length` bytes for the key; behind them there may be ends of lines.
fn finish(
    mut slot: EmptySlot,
    length: Result<usize, LineError>,
) -> Result<LockedCredential, ReadKeyError> {
    let room = slot.room();
    let length = length.map_err(|error| match error {
        LineError::TooLong => ReadKeyError::TooLarge(room),
        LineError::Read(cause) => ReadKeyError::Read(cause),
    })?;
    let (key, rest) = slot.token_mut().split_at_mut(length);
    if key.iter().all(|&byte| room.alphabet().contains(byte))
        && !key.is_empty()
        && rest.iter().any(|byte| !matches!(byte, b'\r' | b'\n' | 0))
    {
        return Err(ReadKeyError::SecondLine);
    }
    slot.finish(length).map_err(|error| match error {
        NotACredential::Missing => ReadKeyError::Missing,
        NotACredential::TooLarge => ReadKeyError::TooLarge(room),
        NotACredential::ForbiddenCharacter => ReadKeyError::ForbiddenCharacter(room),
        NotACredential::Page(cause) => ReadKeyError::Page(cause),
    })
}

/// Fills `room` up to the end of input; returns the length of the first line without its line ending.
fn read_to_end(input: &mut impl Read, room: &mut [u8]) -> Result<usize, LineError> {
    let mut filled = 0;
    loop {
        let free = room.get_mut(filled..).unwrap_or_default();
        if free.is_empty() {
            return Err(LineError::TooLong);
        }
        match input.read(free) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(LineError::Read(error)),
        }
    }
    let line_end = room.iter().take(filled).position(|&byte| byte == b'\n');
    Ok(without_carriage_returns(room, line_end.unwrap_or(filled)))
}

enum LineError {
    TooLong,
    Read(io::Error),
}

/// Fills `room` up to a newline or the end of input; returns the line's length
/// without its line ending. What was read past it stays in `room`.
fn read_line(input: &mut impl Read, room: &mut [u8]) -> Result<usize, LineError> {
    let mut filled = 0;
    loop {
        let free = room.get_mut(filled..).unwrap_or_default();
        if free.is_empty() {
            return Err(LineError::TooLong);
        }
        let read = match input.read(free) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(LineError::Read(error)),
        };
        let line_end = free
            .get(..read)
            .and_then(|new| new.iter().position(|&byte| byte == b'\n'));
        if let Some(at) = line_end {
            return Ok(without_carriage_returns(room, filled + at));
        }
        filled += read;
        if read == 0 {
            return Ok(without_carriage_returns(room, filled));
        }
    }
}

fn without_carriage_returns(room: &[u8], len: usize) -> usize {
    let line = room.get(..len).unwrap_or_default();
    let trailing = line.iter().rev().take_while(|&&byte| byte == b'\r').count();
    len - trailing
}

#[cfg(test)]
mod tests;
