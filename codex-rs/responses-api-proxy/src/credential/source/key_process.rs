//! The proxy's side of the process that reads keys from files and programs for it.
//!
//! It is this program, started anew while there is no sandbox yet, with the rights that the proxy has at the start. A
//! byte on the socket between the two asks for a key. It answers with the end of a pipe, writes the key to the other
//! end, without a look at it, and then says on the socket how that went ([`serve_keys`](super::serve_keys)). It ends
//! when the socket is closed.

use std::fs::File;
use std::io::{self, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

use crate::config::environment;
use crate::config::key_source::KeyReader;
use crate::credential::locked::{EmptySlot, LockedCredential};
use crate::credential::read_api_key::{ReadKeyError, read_whole_input};
use crate::credential::workload::token_bytes::AreTokens;

use super::SourceError;
use super::serve_keys::{MOST_SAID, TIMEOUT};

/// The command that makes this program such a process.
pub(crate) const COMMAND: &str = "serve-keys";

/// A little longer than the other side takes at most.
const PATIENCE: Duration = TIMEOUT.saturating_add(Duration::from_secs(10));

/// A word of what a program says that is longer than this is not shown: keys have 40 characters and more.
const LONGEST_WORD: usize = 30;

/// Where the system does that on its own, it is done at once; elsewhere this process starts no program later.
#[cfg(target_os = "linux")]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(target_os = "linux"))]
const CLOSE_ON_EXEC: RecvFlags = RecvFlags::empty();

/// The other process. It ends with this.
#[derive(Debug)]
pub(crate) struct KeyProcess {
    /// `None` once what comes by it is not known to belong to what was asked for.
    socket: Option<UnixStream>,
}

impl KeyProcess {
    /// Starts it. `called_as` is what stands before the proxy's own arguments where this program has other commands.
    ///
    /// # Errors
    ///
    /// Where there is no process to be had, or no `/proc`.
    pub(crate) fn start(reader: &KeyReader, called_as: &[&str]) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(PATIENCE))?;
        ours.set_write_timeout(Some(PATIENCE))?;
        let mut command = Command::new(program()?);
        for name in environment::OF_SERVICE_MANAGER {
            command.env_remove(name);
        }
        command
            .args(called_as)
            .arg(COMMAND)
            .args(reader.arguments())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            // Signals to the proxy's group are not for it.
            .process_group(0)
            .spawn()?;
        Ok(Self { socket: Some(ours) })
    }

    /// Has a key read into `slot`.
    ///
    /// # Errors
    ///
    /// [`SourceError`].
    pub(crate) fn read(&mut self, slot: EmptySlot) -> Result<LockedCredential, SourceError> {
        let mut socket = self.socket.take().ok_or(SourceError::Gone)?;
        socket.write_all(b"?").map_err(|_| SourceError::Gone)?;
        let mut pipe = Pipe {
            file: receive_pipe(&socket)?,
            until: Instant::now() + PATIENCE,
        };
        let read = read_whole_input(&mut pipe, slot);
        drop(pipe);
        let said = hear(&mut socket)?;
        self.socket = Some(socket);
        match (said, read) {
            (None, Ok(key)) => Ok(key),
            // A program that is not read to its end fails because of that.
            (None, Err(error)) | (Some(_), Err(error @ ReadKeyError::TooLarge(_))) => {
                Err(SourceError::Key(error))
            }
            // What a program says of itself can have the key in it, or what would have been one.
            (Some(why), read) => {
                let key = read.as_ref().map_or(&[][..], LockedCredential::secret);
                Err(SourceError::Said(
                    AreTokens(&[key], LONGEST_WORD).kept_out_of(&why),
                ))
            }
        }
    }
}

fn receive_pipe(socket: &UnixStream) -> Result<File, SourceError> {
    let mut byte = [0];
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut room);
    let into = &mut [IoSliceMut::new(&mut byte)];
    let received = loop {
        match recvmsg(socket, into, &mut control, CLOSE_ON_EXEC) {
            Err(rustix::io::Errno::INTR) => {}
            received => break received,
        }
    };
    if received.map_err(|_| SourceError::Gone)?.bytes == 0 {
        return Err(SourceError::Gone);
    }
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptor.map(File::from).ok_or(SourceError::Gone)
}

/// One line: `None` if all went well.
fn hear(socket: &mut UnixStream) -> Result<Option<String>, SourceError> {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.len() <= MOST_SAID {
        match socket.read(&mut byte) {
            Ok(0) => return Err(SourceError::Gone),
            Ok(_) if byte == *b"\n" => {
                let said = String::from_utf8_lossy(&line).into_owned();
                return Ok((!said.is_empty()).then_some(said));
            }
            Ok(_) => line.extend(byte),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => return Err(SourceError::Gone),
        }
    }
    Err(SourceError::Gone)
}

/// The end of a pipe that is not waited for longer than it may take.
struct Pipe {
    file: File,
    until: Instant,
}

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.until.saturating_duration_since(Instant::now());
        let limit = Timespec::try_from(left).map_err(io::Error::other)?;
        let mut waited = [PollFd::new(&self.file, PollFlags::IN)];
        match poll(&mut waited, Some(&limit))? {
            0 => Err(io::ErrorKind::TimedOut.into()),
            _ => self.file.read(into),
        }
    }
}

/// This program, also if its file has been replaced meanwhile.
fn program() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe()
}
