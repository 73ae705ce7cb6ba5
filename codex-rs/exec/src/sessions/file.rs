//! The file of a session: made when there is something to keep, and only added to.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use super::lock::WriterLock;
use super::rollout::{Line, Payload};
use super::{Store, clock, trusted};

/// Where a session is kept.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) store: Store,
    pub(super) path: PathBuf,
    /// `None` until there is something to keep.
    pub(super) file: Option<File>,
    /// The number of the next line, in a file where lines are numbered.
    pub(super) ordinal: Option<u64>,
    pub(super) lock: Option<WriterLock>,
}

impl Kept {
    /// The lines as they are written, each ended.
    ///
    /// # Errors
    ///
    /// Those of serializing.
    pub(super) fn lines(&self, payloads: &[Payload<'_>]) -> io::Result<Vec<u8>> {
        let timestamp = clock::timestamp(SystemTime::now());
        let mut lines = Vec::new();
        for (index, payload) in (0u64..).zip(payloads) {
            let line = Line {
                timestamp: timestamp.clone(),
                ordinal: self.ordinal.map(|ordinal| ordinal + index),
                payload,
            };
            serde_json::to_writer(&mut lines, &line)?;
            lines.push(b'\n');
        }
        Ok(lines)
    }

    /// Adds lines, all at once: whoever reads at the same time sees whole lines.
    ///
    /// # Errors
    ///
    /// The file cannot be made or written.
    pub(super) fn append(&mut self, id: &str, lines: &[u8]) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let directory = self.path.parent().unwrap_or(Path::new("."));
                trusted::make_directories(directory)?;
                if let Ok(id) = Uuid::try_parse(id) {
                    self.lock = WriterLock::take(&self.store.home, id)?;
                }
                self.file.insert(trusted::create(&self.path)?)
            }
        };
        file.write_all(lines)?;
        let count = lines.iter().filter(|byte| **byte == b'\n').count();
        if let Some(ordinal) = &mut self.ordinal {
            *ordinal += u64::try_from(count).unwrap_or(u64::MAX);
        }
        Ok(())
    }
}

/// A line that was cut short when its writer was killed must not spoil the next.
pub(super) fn end_last_line(file: &mut File) -> io::Result<()> {
    let mut last = [0];
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(());
    }
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last != *b"\n" {
        file.write_all(b"\n")?;
    }
    Ok(())
}
