//! A program at work, for tests that act while it runs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::child::{Launch, Output, Running, Stdin};
use crate::scan::assert_no_key;
use crate::wait::WAIT_TIMEOUT;

/// A running program; dropping it kills it.
#[derive(Debug)]
pub struct Program {
    running: Running,
    /// Its working directory.
    _dir: TempDir,
}

impl Program {
    /// Starts a program with nothing but PATH and `env` in its environment.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(
        program: impl Into<PathBuf>,
        args: &[&str],
        env: &[(&str, &str)],
        stdin: Stdin,
    ) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let launch = Launch {
            program: program.into(),
            under: Vec::new(),
            args: args.iter().map(OsString::from).collect(),
            env: env
                .iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            stdin,
        };
        Self {
            running: launch.start(dir.path()),
            _dir: dir,
        }
    }

    /// Waits until `text` stands on its standard output; returns all of it.
    #[track_caller]
    pub fn wait_for_stdout(&self, text: &str) -> String {
        self.running.stdout.wait_for(&format!("{text:?}"), |all| {
            all.contains(text).then(|| all.to_owned())
        })
    }

    /// Waits until `text` stands on its standard error; returns all of it.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.running.stderr.wait_for(&format!("{text:?}"), |all| {
            all.contains(text).then(|| all.to_owned())
        })
    }

    /// Sends a signal by its name without SIG, such as `INT`.
    ///
    /// # Panics
    /// When there is no such process any more.
    #[track_caller]
    pub fn signal(&self, name: &str) {
        // A shell's `kill` spares this crate an unsafe block.
        let kill = format!("kill -{name} {}", self.running.child.id());
        let status = std::process::Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell");
        assert!(status.success(), "{kill} failed");
    }

    /// Waits for its exit, and looks for the test key in its output.
    ///
    /// # Panics
    /// When it does not exit in time.
    #[track_caller]
    pub fn wait_exit(mut self) -> Output {
        let status = self.running.exit_within(WAIT_TIMEOUT);
        self.running.kill();
        let (stdout, stderr) = (self.running.stdout.text(), self.running.stderr.text());
        assert_no_key(stdout.as_bytes(), "stdout");
        assert_no_key(stderr.as_bytes(), "stderr");
        match status {
            Some(status) => Output {
                code: status.code(),
                stdout,
                stderr,
            },
            None => panic!("no exit within {WAIT_TIMEOUT:?}; stderr:\n{stderr}"),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.running.kill();
    }
}

/// Runs a program to its end with nothing but PATH and `env` in its environment, and looks for
/// the test key in its output.
///
/// # Panics
/// When it cannot be started, does not end, or says a part of the key.
#[track_caller]
pub fn run_to_exit(
    program: impl AsRef<Path>,
    args: &[&str],
    env: &[(&str, &str)],
    stdin: &[u8],
) -> Output {
    Program::start(program.as_ref(), args, env, Stdin::Bytes(stdin.to_vec())).wait_exit()
}
