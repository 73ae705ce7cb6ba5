//! The process that reads keys from files and programs for the proxy: it passes them on and has none in its memory.

use std::fs::File;
use std::io::{self, IoSlice, PipeWriter, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::Context;
use codex_process_hardening::{User, harden};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::config::key_source::{KeyReader, ServeKeysArgs};

use super::key_file::open_key_file;

/// How long a program may take.
pub(super) const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest line about what went wrong, in bytes.
pub(super) const MOST_SAID: usize = 1024;

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
    let user = args.user.as_deref().map(User::by_name).transpose()?;
    if let Some(user) = user {
        user.drop_privileges_to()
            .context("cannot become the user of --key-command-user")?;
    }
    let reader = KeyReader::try_from(args)?;
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
    sendmsg(
        socket,
        &[IoSlice::new(b"k")],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
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
            Ok(0) => break,
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
            0 => break,
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
    let child = started.map_err(|error| format!("/bin/sh cannot be started: {error}"))?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (done, outcome) = mpsc::channel();
    std::thread::scope(|threads| {
        threads.spawn(move || done.send(wait(child)));
        let (status, said) = match outcome.recv_timeout(TIMEOUT) {
            Ok(outcome) => outcome.map_err(|error| format!("it cannot be waited for: {error}"))?,
            Err(_) => {
                if let Some(group) = group {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                return Err(format!(
                    "the command took longer than {TIMEOUT:?} and was killed"
                ));
            }
        };
        match (status.success(), said.is_empty()) {
            (true, _) => Ok(()),
            (false, true) => Err(format!("the command failed ({status})")),
            (false, false) => Err(format!("the command failed ({status}): {said}")),
        }
    })
}

/// How it ended, and the first line of what it said.
fn wait(mut child: Child) -> io::Result<(ExitStatus, String)> {
    let mut said = Vec::new();
    if let Some(stderr) = child.stderr.take() {
        let mut stderr = stderr;
        let mut piece = [0; 512];
        // To its end, so that a program that says much is not stopped by that.
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
    }
    let status = child.wait()?;
    let said = String::from_utf8_lossy(&said);
    let line = said.lines().map(str::trim).find(|line| !line.is_empty());
    Ok((status, line.unwrap_or_default().to_owned()))
}
