//! What a runner of GitHub gives the steps of a job, as far as they need it.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use codex_test_support::{Client, MockUpstream, WAIT_TIMEOUT};

use crate::PROXY;

/// What a runner gives its steps: a home, and a PATH with sudo and this program in it.
pub(super) struct Runner {
    dir: tempfile::TempDir,
    pub(super) upstream: MockUpstream,
    /// Its own: other tests have theirs in processes that are looked at here.
    key: String,
}

impl Runner {
    pub(super) fn new(upstream: MockUpstream) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // The proxy is another user by the time that it removes its file.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["bin", "temp"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        static RUNNERS: AtomicU32 = AtomicU32::new(0);
        let number = RUNNERS.fetch_add(1, Ordering::Relaxed);
        let key = format!("sk-action-{}-{number}-0123456789abcdef", std::process::id());
        Self { dir, upstream, key }
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn program(&self, name: &str, script: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Runs a step as `run:` does, in a shell of its own that ends with it.
    pub(super) fn step(&self, script: &str) {
        self.step_in(&["bash"], script);
    }

    pub(super) fn step_in(&self, shell: &[&str], script: &str) {
        let (status, said) = self.run(shell, script);
        assert!(status.success(), "{script}\n{said}");
    }

    /// Runs a step that has to fail.
    pub(super) fn failing_step(&self, script: &str) {
        let (status, said) = self.run(&["bash"], script);
        assert!(!status.success(), "{script}\n{said}");
    }

    /// How a step ends, and what it says.
    fn run(&self, shell: &[&str], script: &str) -> (ExitStatus, String) {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.at("bin").display());
        // To a file: what it starts goes on, and would keep a pipe open.
        let said = fs::File::create(self.at("said")).unwrap();
        let mut step = Command::new(shell[0]);
        step.args(&shell[1..])
            .args(["-e", "-c", script])
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.dir.path())
            .env("USER", "root")
            .env("RUNNER_TEMP", self.at("temp"))
            .env("GITHUB_RUN_ID", "42")
            .env("GITHUB_STEP_SUMMARY", self.at("summary"))
            .env("PROXY_API_KEY", &self.key)
            .env("SERVER_INFO_FILE", self.info())
            .env("UPSTREAM_URL", self.upstream.url())
            .stdin(Stdio::null())
            .stdout(said.try_clone().unwrap())
            .stderr(said);
        let status = step.status().unwrap();
        let said = fs::read_to_string(self.at("said")).unwrap();
        assert!(!said.contains(&self.key), "the key is printed");
        (status, said)
    }

    /// The program with an upstream that is here, for those who call it without.
    pub(super) fn with_upstream(&self) -> String {
        let upstream = self.upstream.url();
        format!(
            "case $1 in\nwait) exec {PROXY} \"$@\" ;;\n*) exec {PROXY} --upstream-url {upstream} \"$@\" ;;\nesac"
        )
    }

    pub(super) fn info(&self) -> PathBuf {
        self.at(".codex/42.json")
    }

    /// The port and the process that the file names; both have to be whole numbers.
    pub(super) fn read_info(&self) -> (u16, i32) {
        let text = fs::read_to_string(self.info()).unwrap();
        let info: serde_json::Value = serde_json::from_str(&text).unwrap();
        let number = |name: &str| {
            info[name]
                .as_u64()
                .unwrap_or_else(|| panic!("{name}: {text}"))
        };
        let (port, pid) = (number("port"), number("pid"));
        (port.try_into().unwrap(), pid.try_into().unwrap())
    }

    /// How 1.13 looks whether the proxy of the file still lives.
    pub(super) fn is_alive(&self) -> bool {
        let (port, pid) = self.read_info();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        process_is_there(pid)
            && TcpStream::connect_timeout(&address, Duration::from_millis(500)).is_ok()
    }

    /// Whether any process has the key in its environment or its arguments.
    pub(super) fn key_is_in_a_process(&self) -> bool {
        let key = self.key.as_bytes();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes.map(|process| process.path()).any(|process| {
            ["environ", "cmdline"].iter().any(|file| {
                let text = fs::read(process.join(file)).unwrap_or_default();
                text.windows(key.len()).any(|part| part == key)
            })
        })
    }

    pub(super) fn shut_down(&self) {
        let (port, pid) = self.read_info();
        let mut client = Client::connect(([127, 0, 0, 1], port).into());
        client.send(format!("GET /shutdown HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").as_bytes());
        assert_eq!(client.read_answer().status, 200);
        wait_until("the proxy ends", || !process_is_there(pid));
    }
}

/// A process that has ended and that nobody has waited for is none.
pub(super) fn process_is_there(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    !status.is_empty() && !status.contains("State:\tZ")
}

#[track_caller]
pub(super) fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < WAIT_TIMEOUT, "{what}: not in time");
        std::thread::sleep(Duration::from_millis(10));
    }
}
