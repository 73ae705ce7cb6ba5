//! Keys that come by themselves, one a line, on a descriptor that this process was started with.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use rustix::event::{PollFd, PollFlags, poll};
use zeroize::Zeroize;

use crate::credential::locked::{EmptySlot, LockedCredential};
use crate::credential::read_api_key::{ReadKeyError, read_api_key};

use super::SourceError;

/// The descriptor, unbuffered.
pub(crate) struct Lines {
    input: OneByOne,
    /// A key has come.
    has_begun: bool,
    /// It cannot be read any more.
    has_failed: bool,
}

impl Lines {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self {
            input: OneByOne(File::from(descriptor)),
            has_begun: false,
            has_failed: false,
        }
    }

    /// Waits for the next line and takes it for a key; `None` when there will be none any more. The first one may lack its
    /// end; a later one without is a line that was cut off.
    ///
    /// # Errors
    ///
    /// [`SourceError`]; the rest of the line is passed over then, and the next one is another key.
    pub(crate) fn next(
        &mut self,
        slot: EmptySlot,
    ) -> Result<Option<LockedCredential>, SourceError> {
        if self.has_failed {
            return Ok(None);
        }
        let mut line = Line {
            input: &mut self.input,
            taken: 0,
            end: None,
        };
        let read = read_api_key(&mut line, slot);
        if line.taken == 0 && line.end == Some(End::OfInput) {
            return Ok(None);
        }
        match read {
            Ok(_) if self.has_begun && line.end == Some(End::OfInput) => Err(SourceError::Said(
                "the last line has no end, as if it had been cut off".to_owned(),
            )),
            Ok(key) => {
                self.has_begun = true;
                Ok(Some(key))
            }
            Err(error) => {
                // What cannot be read now will not be later.
                self.has_failed =
                    matches!(error, ReadKeyError::Read(_)) || line.pass_over().is_err();
                Err(SourceError::Key(error))
            }
        }
    }
}

/// Reads no byte more than it needs: what were behind a line would have to be kept for the next.
struct OneByOne(File);

impl Read for OneByOne {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let one = into.get_mut(..1).unwrap_or_default();
        loop {
            match self.0.read(one) {
                // Whoever has the other end may have asked for that, for itself too.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    poll(&mut [PollFd::new(&self.0, PollFlags::IN)], None)?;
                }
                read => return read,
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OfLine,
    OfInput,
}

/// One line of it.
struct Line<'a> {
    input: &'a mut OneByOne,
    taken: usize,
    end: Option<End>,
}

impl Read for Line<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.end.is_some() {
            return Ok(0);
        }
        let read = self.input.read(into)?;
        self.taken += read;
        self.end = match (read, into.first()) {
            (0, _) => Some(End::OfInput),
            (_, Some(b'\n')) => Some(End::OfLine),
            _ => None,
        };
        Ok(read)
    }
}

impl Line<'_> {
    fn pass_over(&mut self) -> io::Result<()> {
        let mut byte = [0];
        let passed = loop {
            match self.read(&mut byte) {
                Ok(0) => break Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        byte.zeroize();
        passed
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::credential::locked::Room;

    fn slot() -> EmptySlot {
        EmptySlot::for_good(Room::Token.page(true).unwrap(), Room::Token)
    }

    fn next(lines: &mut Lines) -> Result<Option<String>, String> {
        let read = lines.next(slot()).map_err(|error| error.to_string())?;
        Ok(read.map(|key| String::from_utf8(key.secret().to_vec()).unwrap()))
    }

    #[test]
    fn each_line_is_a_key_and_the_end_is_the_end() {
        let (read, mut write) = io::pipe().unwrap();
        let mut lines = Lines::new(read.into());
        write.write_all(b"sk-first\nsk-second\r\nsk-thi").unwrap();
        assert_eq!(next(&mut lines), Ok(Some("sk-first".to_owned())));
        assert_eq!(next(&mut lines), Ok(Some("sk-second".to_owned())));
        drop(write);
        assert!(next(&mut lines).unwrap_err().contains("cut off"));
        assert_eq!(next(&mut lines), Ok(None));
        assert_eq!(next(&mut lines), Ok(None));
    }

    #[test]
    fn the_first_may_lack_its_end_and_an_input_that_fails_is_over() {
        let (read, mut write) = io::pipe().unwrap();
        write.write_all(b"sk-first").unwrap();
        drop(write);
        let mut lines = Lines::new(read.into());
        assert_eq!(next(&mut lines), Ok(Some("sk-first".to_owned())));
        assert_eq!(next(&mut lines), Ok(None));
        // Reading a directory fails for ever.
        let mut lines = Lines::new(File::open("/").unwrap().into());
        assert!(next(&mut lines).is_err());
        assert_eq!(next(&mut lines), Ok(None));
    }

    #[test]
    fn an_input_that_does_not_block_is_waited_for() {
        let (read, mut write) = io::pipe().unwrap();
        let flags = rustix::fs::fcntl_getfl(&read).unwrap();
        rustix::fs::fcntl_setfl(&read, flags | rustix::fs::OFlags::NONBLOCK).unwrap();
        let mut lines = Lines::new(read.into());
        let waiting = std::thread::spawn(move || next(&mut lines));
        write.write_all(b"sk-").unwrap();
        write.write_all(b"first\n").unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(Some("sk-first".to_owned())));
    }

    #[test]
    fn a_line_that_is_not_a_key_is_passed_over_as_a_whole() {
        let (read, mut write) = io::pipe().unwrap();
        let mut lines = Lines::new(read.into());
        let writer = std::thread::spawn(move || {
            let long = "k".repeat(100_000);
            write
                .write_all(format!("two words\n\n{long}\nsk-good\n").as_bytes())
                .unwrap();
        });
        assert!(next(&mut lines).unwrap_err().contains("bearer token"));
        assert_eq!(next(&mut lines), Err("there is no key in it".to_owned()));
        assert!(next(&mut lines).unwrap_err().contains("too large"));
        assert_eq!(next(&mut lines), Ok(Some("sk-good".to_owned())));
        writer.join().unwrap();
    }
}
