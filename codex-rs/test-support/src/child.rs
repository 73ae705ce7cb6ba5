//! Starts a program with a known environment and captures what it writes.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use crate::wait::{lock, wait_until};

/// What a program finds on its standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// These bytes, then the end.
    Bytes(Vec<u8>),
    /// These bytes, then a pipe that stays open.
    BytesThenOpen(Vec<u8>),
    /// The end at once.
    Empty,
    /// No file descriptor 0 at all.
    Closed,
}

/// How a program is to be started.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: std::path::PathBuf,
    /// A command that starts the program given to it as arguments.
    pub(crate) under: Vec<OsString>,
    pub(crate) args: Vec<OsString>,
    pub(crate) env: Vec<(OsString, OsString)>,
    pub(crate) stdin: Stdin,
}

/// A program at work.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Arc<Captured>,
    pub(crate) stderr: Arc<Captured>,
}

impl Launch {
    /// Starts the program in `dir`. Its environment is PATH and what the test set, nothing
    /// else: neither our own proxies nor our own key reach it.
    #[track_caller]
    pub(crate) fn start(&self, dir: &Path) -> Running {
        let program = self
            .program
            .canonicalize()
            .unwrap_or_else(|_| self.program.clone());
        let mut words = self.under.clone();
        if self.stdin == Stdin::Closed {
            // std always gives a child some stdin; a shell can take it away.
            words.extend(["/bin/sh", "-c", "exec \"$0\" \"$@\" <&-"].map(OsString::from));
        }
        words.push(program.into_os_string());
        words.extend(self.args.iter().cloned());
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(self.env.iter().cloned())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => panic!("cannot start {}: {error}", words[0].display()),
        };
        let stdout = Captured::from(child.stdout.take().expect("a piped stdout"));
        let stderr = Captured::from(child.stderr.take().expect("a piped stderr"));
        let mut pipe = child.stdin.take().expect("a piped stdin");
        let stdin = match self.stdin.clone() {
            Stdin::Empty | Stdin::Closed => None,
            Stdin::Bytes(bytes) => {
                // The child may never read: that must not stop us. Nor is it news if it exits.
                std::thread::spawn(move || drop(pipe.write_all(&bytes)));
                None
            }
            Stdin::BytesThenOpen(bytes) => {
                drop(pipe.write_all(&bytes));
                Some(pipe)
            }
        };
        Running {
            child,
            stdin,
            stdout,
            stderr,
        }
    }
}

impl Running {
    /// Waits for the exit; `None` when it takes too long.
    pub(crate) fn exit_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            if let Some(status) = self.child.try_wait().expect("the state of our child") {
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            // Nothing portable wakes us when a child exits.
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Kills and reaps it and waits for the end of its output.
    pub(crate) fn kill(&mut self) {
        // It may have exited already; then there is nothing to kill.
        drop(self.child.kill());
        drop(self.child.wait());
        self.settle();
    }

    /// Waits until the output of an exited child is read.
    pub(crate) fn settle(&self) {
        self.stdout.settle();
        self.stderr.settle();
    }
}

/// What a stream has said so far.
#[derive(Debug, Default)]
pub(crate) struct Captured {
    state: Mutex<(Vec<u8>, bool)>,
    changed: Condvar,
}

impl Captured {
    fn from(mut stream: impl Read + Send + 'static) -> Arc<Self> {
        let captured = Arc::new(Self::default());
        let writer = Arc::clone(&captured);
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            loop {
                let n = stream.read(&mut bytes).unwrap_or(0);
                let mut state = lock(&writer.state);
                state.0.extend_from_slice(&bytes[..n]);
                state.1 = n == 0;
                drop(state);
                writer.changed.notify_all();
                if n == 0 {
                    return;
                }
            }
        });
        captured
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        lock(&self.state).0.clone()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until `find` finds what it wants in the text so far; panics when the stream ends
    /// or falls silent without it.
    #[track_caller]
    pub(crate) fn wait_for<T>(&self, wanted: &str, find: impl Fn(&str) -> Option<T>) -> T {
        wait_until(
            &self.state,
            &self.changed,
            |(bytes, ended)| {
                let text = String::from_utf8_lossy(bytes);
                let found = find(&text);
                assert!(
                    found.is_some() || !*ended,
                    "the output ended without {wanted}:\n{text}"
                );
                found
            },
            |(bytes, _)| {
                format!(
                    "no {wanted} in the output:\n{}",
                    String::from_utf8_lossy(bytes)
                )
            },
        )
    }

    /// Waits a moment for the end of the stream: a grandchild may hold it open for good.
    fn settle(&self) {
        let state = lock(&self.state);
        drop(
            self.changed
                .wait_timeout_while(state, Duration::from_secs(5), |(_, ended)| !*ended),
        );
    }
}

/// What a program left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}
