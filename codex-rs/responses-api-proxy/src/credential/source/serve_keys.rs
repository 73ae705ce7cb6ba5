//! The process that reads keys from files and programs for the proxy: it passes them on and has none in its memory.

use std::fs::File;
use std::io::{self, IoSlice, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use codex_process_hardening::{User, drop_capabilities, harden, outlive_hangup_and_interrupt};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::config::key_source::{KeyReader, ServeKeysArgs};

use super::key_file::open_key_file;

/// A proxy that is gone is told by an error, and not by a signal; where there is no such flag, by either.
#[cfg(target_os = "linux")]
const NO_SIGNAL: SendFlags = SendFlags::NOSIGNAL;
#[cfg(not(target_os = "linux"))]
const NO_SIGNAL: SendFlags = SendFlags::empty();

/// How long a program may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest line about what went wrong, in bytes.
pub(super) const MOST_SAID: usize = 1024;

/// How long what it said of itself is waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What a program says is shown up to here, in bytes.
const MOST_OF_A_PROGRAM: usize = 300;

/// Serves the proxy whose socket is standard input, until that is closed.
///
/// # Errors
///
/// No such socket, or no such user to become.
pub(crate) fn serve_keys(args: ServeKeysArgs) -> anyhow::Result<()> {
    // It has no key; but what it is able to read is nobody else's business.
    // What could not be had is said by the proxy, which has the same.
    let _ = harden();
    outlive_hangup_and_interrupt().context("SIGHUP cannot be caught")?;
    let user = args.user.as_deref().map(User::by_name).transpose()?;
    if let Some(user) = user {
        user.drop_privileges_to()
            .context("cannot become the user of --key-command-user")?;
    }
    let reader = KeyReader::try_from(args)?;
    if let KeyReader::File(_) = reader {
        // What is root's, root reads without any.
        drop_capabilities().context("capabilities cannot be given up")?;
    }
    let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let mut socket = UnixStream::from(socket);
    let mut byte = [0];
    while matches!(socket.read(&mut byte), Ok(1)) {
        let (theirs, ours) = io::pipe()?;
        send_descriptor(&socket, theirs.into())?;
        let said = match pass_on(&reader, ours) {
            Ok(()) => String::new(),
            Err(why) => one_line(&why),
        };
        socket.write_all(format!("{said}\n").as_bytes())?;
    }
    Ok(())
}

/// The text as one line that is short enough, and never empty.
fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|c| if c == '\n' { ' ' } else { c })
        .collect();
    let mut end = line.len().min(MOST_SAID);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    if line.is_empty() {
        line.push_str("it failed");
    }
    line
}

fn send_descriptor(socket: &UnixStream, descriptor: OwnedFd) -> io::Result<()> {
    let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    let descriptors = [descriptor.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(b"k")], &mut control, NO_SIGNAL)?;
    Ok(())
}

/// Writes the key to `pipe`, or says why not.
fn pass_on(reader: &KeyReader, pipe: PipeWriter) -> Result<(), String> {
    match reader {
        KeyReader::File(file) => {
            let (file, length) = open_key_file(file).map_err(|error| error.to_string())?;
            copy(&file, length, &pipe).map_err(|error| format!("it could not be read: {error}"))
        }
        KeyReader::Program { command, .. } => run(command, pipe),
    }
}

/// By the kernel, from the file to the pipe. A pipe has room for all that a key file may have.
#[cfg(target_os = "linux")]
fn copy(file: &File, length: usize, pipe: &PipeWriter) -> io::Result<()> {
    let mut left = length;
    while left > 0 {
        match rustix::fs::sendfile(pipe, file, None, left) {
            Ok(0) => return Err(io::Error::other("it changed meanwhile")),
            Ok(sent) => left = left.saturating_sub(sent),
            Err(rustix::io::Errno::INTR) => {}
            // The proxy has closed its end: it has as much as it can use.
            Err(rustix::io::Errno::PIPE) => break,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Through a buffer that is wiped: the call for it is Linux's.
#[cfg(not(target_os = "linux"))]
fn copy(mut file: &File, length: usize, mut pipe: &PipeWriter) -> io::Result<()> {
    let mut buffer = zeroize::Zeroizing::new(vec![0; length]);
    let mut filled = 0;
    while let Some(free) = buffer.get_mut(filled..).filter(|free| !free.is_empty()) {
        match file.read(free)? {
            0 => return Err(io::Error::other("it changed meanwhile")),
            read => filled += read,
        }
    }
    pipe.write_all(buffer.get(..filled).unwrap_or_default())
}

/// Runs a command of the shell, whose output is the pipe.
fn run(command: &str, pipe: PipeWriter) -> Result<(), String> {
    let started = Command::new("/bin/sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::from(OwnedFd::from(pipe)))
        .stderr(Stdio::piped())
        // So that all of it can be ended.
        .process_group(0)
        .spawn();
    let mut child = started.map_err(|error| format!("/bin/sh cannot be started: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (say, said) = mpsc::channel();
    let stderr = child.stderr.take();
    std::thread::spawn(move || say.send(stderr.map(first_line)));
    let (end, ended) = mpsc::channel();
    std::thread::spawn(move || end.send(child.wait()));
    let ended = ended.recv_timeout(TIMEOUT);
    // What it has left behind would keep the pipe open, whose end the proxy waits for.
    if let Some(group) = group {
        let _ = kill_process_group(group, Signal::KILL);
    }
    let status: ExitStatus = match ended {
        Ok(status) => status.map_err(|error| format!("it cannot be waited for: {error}"))?,
        Err(_) => {
            return Err(format!(
                "the command took longer than {TIMEOUT:?} and was killed"
            ));
        }
    };
    if status.success() {
        return Ok(());
    }
    let said = said.recv_timeout(LAST_WORDS).ok().flatten();
    match said.as_deref() {
        None | Some("") => Err(format!("the command failed ({status})")),
        Some(said) => Err(format!("the command failed ({status}): {said}")),
    }
}

/// The first line that a program says, read to the end: one that says much is not stopped by that.
fn first_line(mut stderr: ChildStderr) -> String {
    let mut said = Vec::new();
    let mut piece = [0; 512];
    loop {
        match stderr.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                let room = MOST_OF_A_PROGRAM.saturating_sub(said.len()).min(read);
                said.extend_from_slice(piece.get(..room).unwrap_or_default());
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    line.unwrap_or_default().to_owned()
}
