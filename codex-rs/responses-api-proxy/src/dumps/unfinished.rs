//! One dump on its way to the disk, in bounded memory.
//!
//! The peer writes a body as a JSON value if it is one, and as a string if it is not, which is known at its end. Until
//! then a body that may be JSON is written both ways, to two files, of which one stays: nothing has to be read back,
//! and the sandbox need not allow reading dumps.

use std::fs::File;
use std::io::{self, Write};

use crate::credential::redact::Redactor;
use crate::dumps::directory::DumpDirectory;
use crate::dumps::head::behind_body;
use crate::dumps::json_layout::{JsonLayout, may_begin};
use crate::dumps::name::DumpName;
use crate::dumps::retention::{NoRoom, Retention};
use crate::dumps::text::{Utf8Pieces, escape};
use crate::dumps::token::{CallerToken, TokenRedactor};

/// So much is written to a file at once, in bytes. A dump that is shorter has no file before it is whole.
const BUFFERED: usize = 8 * 1024;

/// How far the body is indented.
const INDENTED: usize = 1;

/// What a dump begins with.
pub(super) struct Begin {
    /// Whose request it is, as far as the kernel says.
    pub(super) user: Option<u32>,
    /// Up to the body.
    pub(super) head: Vec<u8>,
    pub(super) redactor: Redactor,
    pub(super) token: CallerToken,
}

impl Begin {
    /// How much memory it takes, about, in bytes.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.token.len()
    }
}

/// Why a dump is given up.
#[derive(Debug)]
pub(super) enum DumpError {
    TooLarge,
    Io(io::Error),
}

impl From<NoRoom> for DumpError {
    fn from(error: NoRoom) -> Self {
        match error {
            NoRoom::TooLarge => Self::TooLarge,
            NoRoom::Io(cause) => Self::Io(cause),
        }
    }
}

impl From<io::Error> for DumpError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

/// Where dumps are written, and how much room there is.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) directory: DumpDirectory,
    pub(super) retention: Retention,
}

/// One dump on its way.
pub(super) struct Unfinished {
    name: DumpName,
    redactor: Redactor,
    token: TokenRedactor,
    utf8: Utf8Pieces,
    /// As a string. Until the first byte of the body only the head is there.
    text: Draft,
    /// As a JSON value, as long as it may be one.
    value: Option<(Draft, JsonLayout)>,
    has_begun: bool,
}

impl Unfinished {
    pub(super) fn new(name: DumpName, begin: Begin) -> Self {
        Self {
            name,
            redactor: begin.redactor,
            token: begin.token.redactor(),
            utf8: Utf8Pieces::default(),
            text: Draft::new(name.unfinished_text(), begin.head),
            value: None,
            has_begun: false,
        }
    }

    /// Adds a piece of the body.
    ///
    /// # Errors
    ///
    /// [`DumpError`]; it is to be given up then.
    pub(super) fn take(&mut self, piece: &[u8], store: &mut Store) -> Result<(), DumpError> {
        let without_key = self.redactor.take(bytes::Bytes::copy_from_slice(piece));
        let mut clean = Vec::with_capacity(without_key.len());
        self.token.take(&without_key, &mut clean);
        self.write(&clean, store)
    }

    fn write(&mut self, clean: &[u8], store: &mut Store) -> Result<(), DumpError> {
        let Some(&first) = clean.first() else {
            return Ok(());
        };
        if !self.has_begun {
            self.begin(may_begin(first));
        }
        let (text, is_broken) = self.utf8.take(clean);
        if let Some((draft, layout)) = &mut self.value {
            if is_broken || layout.push(&text, &mut draft.buffer).is_err() {
                self.drop_value(store);
            } else {
                draft.flush_if_full(store)?;
            }
        }
        escape(&text, &mut self.text.buffer);
        self.text.flush_if_full(store)
    }

    fn begin(&mut self, may_be_json: bool) {
        self.has_begun = true;
        if may_be_json {
            let draft = Draft::new(self.name.unfinished_value(), self.text.buffer.clone());
            self.value = Some((draft, JsonLayout::new(INDENTED)));
        }
        self.text.buffer.push(b'"');
    }

    fn drop_value(&mut self, store: &mut Store) {
        if let Some((draft, _)) = self.value.take() {
            draft.discard(store);
        }
    }

    /// It is over: from now on the dump is there.
    ///
    /// # Errors
    ///
    /// [`DumpError`]; then there is nothing of it.
    pub(super) fn finish(mut self, is_whole: bool, store: &mut Store) -> Result<(), DumpError> {
        let ended = self.end_of_body(store);
        let value = match self.value.take() {
            Some((draft, layout)) if layout.finish().is_ok() => Some(draft),
            Some((draft, _)) => {
                draft.discard(store);
                None
            }
            None => None,
        };
        let mut dump = match value {
            Some(value) => {
                std::mem::take(&mut self.text).discard(store);
                value
            }
            None => {
                let mut text = std::mem::take(&mut self.text);
                text.buffer.push(b'"');
                text
            }
        };
        dump.buffer.extend_from_slice(behind_body(is_whole));
        if let Err(error) = ended.and_then(|()| dump.flush(store)) {
            dump.discard(store);
            return Err(error);
        }
        dump.publish(self.name, store)
    }

    fn end_of_body(&mut self, store: &mut Store) -> Result<(), DumpError> {
        let mut clean = Vec::new();
        if let Some(held) = self.redactor.finish() {
            self.token.take(&held, &mut clean);
        }
        self.token.finish(&mut clean);
        self.write(&clean, store)?;
        if !self.has_begun {
            // A body of nothing.
            self.begin(false);
        }
        if self.utf8.is_broken_at_the_end() {
            self.drop_value(store);
            escape("\u{fffd}", &mut self.text.buffer);
        }
        Ok(())
    }

    /// Leaves nothing of it.
    pub(super) fn give_up(mut self, store: &mut Store) {
        self.drop_value(store);
        self.text.discard(store);
    }
}

/// A file that may become the dump.
#[derive(Debug, Default)]
struct Draft {
    name: String,
    file: Option<File>,
    /// What is not in the file yet.
    buffer: Vec<u8>,
    /// So many bytes of room are taken, and no more than that are in the file.
    reserved: u64,
}

impl Draft {
    const fn new(name: String, buffer: Vec<u8>) -> Self {
        Self {
            name,
            file: None,
            buffer,
            reserved: 0,
        }
    }

    fn flush_if_full(&mut self, store: &mut Store) -> Result<(), DumpError> {
        if self.buffer.len() < BUFFERED {
            return Ok(());
        }
        self.flush(store)
    }

    fn flush(&mut self, store: &mut Store) -> Result<(), DumpError> {
        let bytes = u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        if self.reserved.saturating_add(bytes) > store.retention.most_of_one() {
            return Err(NoRoom::TooLarge.into());
        }
        let directory = &store.directory;
        store
            .retention
            .reserve(bytes, |oldest| directory.remove(&oldest.to_string()))?;
        self.reserved += bytes;
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(directory.create_new(&self.name)?),
        };
        file.write_all(&self.buffer)?;
        self.buffer.clear();
        self.buffer.shrink_to(BUFFERED * 2);
        Ok(())
    }

    fn publish(self, name: DumpName, store: &mut Store) -> Result<(), DumpError> {
        // Closed first: some file systems say only then that the disk is full, and it cannot be asked.
        drop(self.file);
        if let Err(error) = store.directory.rename(&self.name, &name.to_string()) {
            store.retention.release(self.reserved);
            // It fails where the directory is gone, and the file with it.
            let _ = store.directory.remove(&self.name);
            return Err(error.into());
        }
        store.retention.keep(name, self.reserved);
        Ok(())
    }

    fn discard(self, store: &mut Store) {
        store.retention.release(self.reserved);
        if self.file.is_some() {
            // What cannot be removed now is removed at the next start.
            let _ = store.directory.remove(&self.name);
        }
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
