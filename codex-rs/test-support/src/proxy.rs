//! Starts the real binary with the key on its stdin, and searches all it leaves for that key.

mod builder;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use tempfile::TempDir;

use crate::child::Running;
use crate::client::Client;
use crate::scan::{Scanner, test_key_scanner};
use crate::wait::WAIT_TIMEOUT;

pub use builder::ProxyBuilder;

/// What the ready line says before the port.
const READY: &str = "responses-api-proxy listening on 127.0.0.1:";

/// The binary at work. Dropping it kills it and searches its stdout, its stderr and every file
/// in its directory for the key.
#[derive(Debug)]
pub struct Proxy {
    running: Running,
    dir: TempDir,
    port: Option<u16>,
    scanners: Vec<Scanner>,
}

impl Proxy {
    /// A start of the binary at `program`, with [`TEST_KEY`](crate::TEST_KEY) on stdin.
    #[must_use]
    pub fn builder(program: impl Into<PathBuf>) -> ProxyBuilder {
        ProxyBuilder::new(program.into())
    }

    /// Waits for the ready line, anywhere on stderr.
    ///
    /// # Panics
    /// When it exits or says nothing; shows its stderr.
    #[track_caller]
    pub fn wait_ready(&mut self) {
        let port = self.running.stderr.wait_for("ready line", |text| {
            text.split_inclusive('\n')
                .filter_map(|line| line.strip_suffix('\n'))
                .find_map(|line| line.strip_prefix(READY)?.trim_end().parse::<u16>().ok())
        });
        self.port = Some(port);
    }

    /// The port it listens on.
    ///
    /// # Panics
    /// Before it is ready.
    #[must_use]
    #[track_caller]
    pub fn port(&self) -> u16 {
        self.port
            .expect("a proxy that is ready: call wait_ready first")
    }

    /// The address it listens on.
    #[must_use]
    #[track_caller]
    pub fn addr(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port()).into()
    }

    /// A new connection to it.
    #[must_use]
    #[track_caller]
    pub fn client(&self) -> Client {
        Client::connect(self.addr())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.child.id()
    }

    /// Its stderr so far.
    #[must_use]
    pub fn stderr_so_far(&self) -> String {
        self.running.stderr.text()
    }

    /// Its stdout so far.
    #[must_use]
    pub fn stdout_so_far(&self) -> String {
        self.running.stdout.text()
    }

    /// Waits until `text` stands on its stderr; returns all of it.
    #[track_caller]
    pub fn wait_for_stderr(&self, text: &str) -> String {
        self.running.stderr.wait_for(&format!("{text:?}"), |all| {
            all.contains(text).then(|| all.to_owned())
        })
    }

    /// Writes to a stdin that was left open.
    ///
    /// # Panics
    /// When it was not.
    #[track_caller]
    pub fn write_stdin(&mut self, bytes: impl AsRef<[u8]>) {
        let stdin = self.running.stdin.as_mut().expect("a stdin left open");
        stdin
            .write_all(bytes.as_ref())
            .expect("a proxy that reads its stdin");
    }

    /// Closes a stdin that was left open.
    pub fn close_stdin(&mut self) {
        self.running.stdin = None;
    }

    /// Sends a signal, such as `libc::SIGTERM`.
    ///
    /// # Panics
    /// When there is no such process any more.
    #[track_caller]
    pub fn signal(&self, signal: i32) {
        // A shell's `kill` spares this crate an unsafe block.
        let kill = format!("kill -{signal} {}", self.pid());
        let status = Command::new("/bin/sh")
            .args(["-c", &kill])
            .status()
            .expect("a shell");
        assert!(status.success(), "{kill} failed");
    }

    /// Waits for its exit and the end of its output.
    ///
    /// # Panics
    /// When it does not exit in time.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        match self.running.exit_within(WAIT_TIMEOUT) {
            Some(status) => {
                self.running.settle();
                status
            }
            None => panic!(
                "no exit within {WAIT_TIMEOUT:?}; stderr:\n{}",
                self.stderr_so_far()
            ),
        }
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.running
            .child
            .try_wait()
            .expect("the state of our child")
            .is_none()
    }

    /// A line of `/proc/PID/status` without its name, such as `CapEff`.
    ///
    /// # Panics
    /// When the process or the line is not there.
    #[must_use]
    #[track_caller]
    pub fn status_line(&self, name: &str) -> String {
        let path = format!("/proc/{}/status", self.pid());
        let status = std::fs::read_to_string(path).expect("the status of our child");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.expect("that line of the status").trim().to_owned()
    }

    /// The most memory it ever had resident, in KiB.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn rss_peak_kib(&self) -> u64 {
        let line = self.status_line("VmHWM");
        line.split_whitespace()
            .next()
            .and_then(|n| n.parse().ok())
            .expect("a number of kB")
    }

    /// Every copy of the test key, or of twelve bytes of it, in its readable memory, plain or as
    /// HTTP/2 codes it: the region of memory, and what was found there.
    ///
    /// # Errors
    /// When its memory may not be read, which only root may.
    ///
    /// # Panics
    /// When the memory that could be read is too little to be all of it.
    pub fn key_copies_in_memory(&self) -> std::io::Result<Vec<(String, crate::scan::Leak)>> {
        crate::memory::copies(self.pid(), test_key_scanner())
    }

    /// The same for another key.
    ///
    /// # Errors
    /// When its memory may not be read, which only root may.
    ///
    /// # Panics
    /// When the memory that could be read is too little to be all of it.
    pub fn copies_in_memory(
        &self,
        key: &[u8],
    ) -> std::io::Result<Vec<(String, crate::scan::Leak)>> {
        crate::memory::copies(self.pid(), &Scanner::for_key(key))
    }

    /// Its own directory, which is also its working directory.
    #[must_use]
    pub fn tempdir(&self) -> &Path {
        self.dir.path()
    }

    /// Where [`ProxyBuilder::server_info`] has it write.
    #[must_use]
    pub fn info_file(&self) -> PathBuf {
        self.dir.path().join("server-info.json")
    }

    fn scan(&self, bytes: &[u8], what: &str) {
        for scanner in &self.scanners {
            scanner.assert_clean(bytes, what);
        }
    }

    fn scan_files(&self, dir: &Path) {
        for entry in std::fs::read_dir(dir).expect("the proxy's directory") {
            let entry = entry.expect("an entry of the proxy's directory");
            let path = entry.path();
            let what = entry.file_type().expect("the type of a file");
            // Links lead elsewhere, and a FIFO would block.
            if what.is_dir() {
                self.scan_files(&path);
            } else if what.is_file() {
                let bytes = std::fs::read(&path).expect("a file of the proxy");
                self.scan(&bytes, &path.display().to_string());
            }
            self.scan(path.as_os_str().as_encoded_bytes(), "a file name");
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.running.kill();
        if std::thread::panicking() {
            // Whoever reads the failure will want this.
            let text = self.stderr_so_far();
            if test_key_scanner().find(text.as_bytes()).is_none() {
                drop(writeln!(
                    std::io::stderr(),
                    "--- stderr of the proxy:\n{text}---"
                ));
            }
            return;
        }
        self.scan(&self.running.stdout.bytes(), "stdout");
        self.scan(&self.running.stderr.bytes(), "stderr");
        self.scan_files(self.dir.path());
    }
}
