//! A contestant at work.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Pins;
use crate::clock::{ms_between, now_ns};
use crate::contestant::Start;
use crate::process::kill_tree;

/// How long a contestant may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Between two attempts to connect.
const PAUSE: Duration = Duration::from_micros(100);

pub(super) struct Program {
    child: Child,
    /// From the start to the first answer, in milliseconds.
    pub(super) ready: f64,
}

impl Program {
    /// Starts it, with what it says going to a file, and waits for an answer at its port.
    pub(super) fn start(start: Start, said: &Path, port: u16, pins: Option<&Pins>) -> Result<Self> {
        let Start { mut command, input } = start;
        let file = File::create(said)?;
        command
            .stdin(Stdio::piped())
            .stdout(file.try_clone()?)
            .stderr(file);
        let name = PathBuf::from(command.get_program());
        let began = now_ns();
        let spawned = match pins {
            Some(pins) => pins.on_contestant(|| command.spawn())?,
            None => command.spawn(),
        };
        let child = spawned.with_context(|| format!("cannot start {}", name.display()))?;
        let mut program = Self {
            child,
            ready: f64::NAN,
        };
        if let Some(mut pipe) = program.child.stdin.take() {
            match pipe.write_all(input.as_bytes()) {
                Err(error) if error.kind() != ErrorKind::BrokenPipe => return Err(error.into()),
                // It says itself why it ended.
                _ => {}
            }
        }
        let deadline = Instant::now() + TIMEOUT;
        while !answers(port) {
            let ended = program.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(said).unwrap_or_default();
                let how = ended.map_or_else(|| "does not answer".to_owned(), |end| end.to_string());
                bail!("{}: {how}: {}", name.display(), said.trim());
            }
            std::thread::sleep(PAUSE);
        }
        program.ready = ms_between(began, now_ns());
        Ok(program)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        kill_tree(self.child.id());
        drop(self.child.wait());
    }
}

/// Whether a request, of a kind that everyone refuses, is answered.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) else {
        return false;
    };
    let mut first = [0; 5];
    stream
        .set_read_timeout(Some(TIMEOUT))
        .and_then(|()| {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        })
        .and_then(|()| stream.read_exact(&mut first))
        .is_ok_and(|()| &first == b"HTTP/")
}
