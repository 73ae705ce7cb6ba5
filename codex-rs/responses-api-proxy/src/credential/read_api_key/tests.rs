use super::*;

/// Gives out its chunks one read at a time, then `last` for ever.
struct Script {
    chunks: Vec<Vec<u8>>,
    last: fn() -> io::Result<usize>,
}

impl Read for Script {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.chunks.is_empty() {
            return (self.last)();
        }
        let chunk = self.chunks.remove(0);
        into[..chunk.len()].copy_from_slice(&chunk);
        Ok(chunk.len())
    }
}

fn read_on() -> io::Result<usize> {
    panic!("read again although the line was complete")
}

fn slot() -> EmptySlot {
    EmptySlot::for_good(Room::Key.page(true).unwrap(), Room::Key)
}

fn read(chunks: &[&[u8]], last: fn() -> io::Result<usize>) -> Result<&'static str, ReadKeyError> {
    let chunks = chunks.iter().map(|chunk| chunk.to_vec()).collect();
    let key = read_api_key(&mut Script { chunks, last }, slot())?;
    Ok(key.header_for_good().unwrap())
}

fn read_all(input: &[u8]) -> Result<&'static str, ReadKeyError> {
    let key = read_api_key(&mut &*input, slot())?;
    Ok(key.header_for_good().unwrap())
}

#[test]
fn a_key_without_a_newline() {
    assert_eq!(read_all(b"sk-abc_123").unwrap(), "Bearer sk-abc_123");
}

#[test]
fn line_endings_are_dropped() {
    for input in [
        &b"sk-abc\n"[..],
        b"sk-abc\r\n",
        b"sk-abc\r",
        b"sk-abc\n\n",
        b"sk-abc\r\n\r\n",
    ] {
        assert_eq!(read_all(input).unwrap(), "Bearer sk-abc", "{input:?}");
    }
}

#[test]
fn short_reads_are_joined() {
    let key = read(&[b"s", b"k-", b"abc", b"\n"], read_on).unwrap();
    assert_eq!(key, "Bearer sk-abc");
}

#[test]
fn an_input_that_ends_has_one_line_however_it_comes() {
    let whole = |chunks: &[&[u8]]| {
        let chunks = chunks.iter().map(|chunk| chunk.to_vec()).collect();
        let last = || Ok(0);
        let key = read_whole_input(&mut Script { chunks, last }, slot())?;
        Ok::<_, ReadKeyError>(key.header_for_good().unwrap())
    };
    for input in [
        &[&b"sk-abc"[..]][..],
        &[b"sk-", b"abc\r", b"\n"],
        &[b"sk-abc\n", b"\n"],
    ] {
        assert_eq!(whole(input).unwrap(), "Bearer sk-abc");
    }
    let late: &[&[u8]] = &[b"sk-abc\n", b"sk-def"];
    assert!(matches!(whole(late), Err(ReadKeyError::SecondLine)));
    assert!(matches!(whole(&[]), Err(ReadKeyError::Missing)));
    let long = [b'a'; 1017];
    assert!(matches!(whole(&[&long]), Err(ReadKeyError::TooLarge(_))));
}

#[test]
fn the_newline_is_enough_while_stdin_stays_open() {
    assert_eq!(read(&[b"sk-abc\n"], read_on).unwrap(), "Bearer sk-abc");
}

#[test]
fn an_interrupted_read_is_tried_again() {
    struct Interrupted(bool);
    impl Read for Interrupted {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if std::mem::replace(&mut self.0, true) {
                into[..2].copy_from_slice(b"k\n");
                return Ok(2);
            }
            Err(io::ErrorKind::Interrupted.into())
        }
    }
    let key = read_api_key(&mut Interrupted(false), slot());
    let key = key.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(key.header(), b"Bearer k");
}

#[test]
fn nothing_or_only_a_newline_is_missing() {
    for input in [&b""[..], b"\n", b"\r\n", b"\nsk-abc\n"] {
        assert!(
            matches!(read_all(input), Err(ReadKeyError::Missing)),
            "{input:?}"
        );
    }
}

#[test]
fn the_largest_key_fits_and_one_more_byte_does_not() {
    let largest = vec![b'a'; 1024 - "Bearer ".len() - 1];
    assert_eq!(read_all(&largest).unwrap().len(), 1023);
    let mut with_newline = largest.clone();
    with_newline.push(b'\n');
    assert_eq!(read_all(&with_newline).unwrap().len(), 1023);
    for extra in 1..3 {
        let too_large = vec![b'a'; largest.len() + extra];
        let error = read_all(&too_large).unwrap_err();
        assert!(matches!(error, ReadKeyError::TooLarge(Room::Key)));
        assert_eq!(
            error.to_string(),
            "API key is too large to fit in the 1024-byte buffer"
        );
    }
}

#[test]
fn a_read_error_is_kept_as_the_cause() {
    use std::error::Error;
    let error = read(&[b"sk-"], || Err(io::Error::other("the pipe broke"))).unwrap_err();
    assert_eq!(error.source().unwrap().to_string(), "the pipe broke");
}

#[test]
fn other_characters_are_refused_and_not_repeated() {
    for bad in [
        &b"sk abc"[..],
        b" sk",
        b"sk\t",
        b"sk\0",
        b"sk/",
        b"sk+",
        b"sk=",
        b"sk.",
        b"sk\rx",
        "skä".as_bytes(),
        b"sk\xff\xfe",
        b"Bearer sk",
    ] {
        let error = read_all(bad).unwrap_err();
        assert!(
            matches!(error, ReadKeyError::ForbiddenCharacter(Room::Key)),
            "{bad:?}"
        );
        assert_eq!(
            error.to_string(),
            "API key may only contain ASCII letters, numbers, '-' or '_'"
        );
    }
}

#[test]
fn a_second_line_is_an_error_and_not_a_key() {
    for input in [&b"sk-abc\nsk-def\n"[..], b"sk-abc\nx", b"sk-abc\n\nsk-def"] {
        assert!(
            matches!(read_all(input), Err(ReadKeyError::SecondLine)),
            "{input:?}"
        );
    }
}
