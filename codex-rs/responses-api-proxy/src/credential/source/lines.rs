//! Keys that come by themselves, one a line, on a descriptor that this process was started with.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;

use zeroize::Zeroize;

use crate::credential::locked::{EmptySlot, LockedCredential};
use crate::credential::read_api_key::{ReadKeyError, read_api_key};

use super::SourceError;

/// The descriptor, unbuffered.
pub(crate) struct Lines(OneByOne<File>);

impl Lines {
    pub(crate) fn new(descriptor: OwnedFd) -> Self {
        Self(OneByOne(File::from(descriptor)))
    }

    /// Waits for the next line and takes it for a key; `None` when the other end is closed.
    ///
    /// # Errors
    ///
    /// [`SourceError`]; the rest of the line is passed over then, and the next one is another key.
    pub(crate) fn next(
        &mut self,
        slot: EmptySlot,
    ) -> Result<Option<LockedCredential>, SourceError> {
        let mut line = Line {
            input: &mut self.0,
            taken: 0,
            has_ended: false,
        };
        let read = read_api_key(&mut line, slot);
        if line.taken == 0 && line.has_ended {
            return Ok(None);
        }
        match read {
            Ok(key) => Ok(Some(key)),
            Err(error) => {
                line.pass_over()
                    .map_err(|cause| SourceError::Key(ReadKeyError::Read(cause)))?;
                Err(SourceError::Key(error))
            }
        }
    }
}

/// Reads no byte more than it needs: what were behind a line would have to be kept for the next.
struct OneByOne<R>(R);

impl<R: Read> Read for OneByOne<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let one = into.get_mut(..1).unwrap_or_default();
        self.0.read(one)
    }
}

/// One line of it.
struct Line<'a, R> {
    input: &'a mut OneByOne<R>,
    taken: usize,
    /// With the line, or with the input.
    has_ended: bool,
}

impl<R: Read> Read for Line<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.has_ended {
            return Ok(0);
        }
        let read = self.input.read(into)?;
        self.taken += read;
        self.has_ended = read == 0 || into.first() == Some(&b'\n');
        Ok(read)
    }
}

impl<R: Read> Line<'_, R> {
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
        write.write_all(b"sk-first\nsk-second\r\nsk-third").unwrap();
        assert_eq!(next(&mut lines), Ok(Some("sk-first".to_owned())));
        assert_eq!(next(&mut lines), Ok(Some("sk-second".to_owned())));
        drop(write);
        assert_eq!(next(&mut lines), Ok(Some("sk-third".to_owned())));
        assert_eq!(next(&mut lines), Ok(None));
        assert_eq!(next(&mut lines), Ok(None));
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
