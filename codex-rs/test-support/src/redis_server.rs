//! A real Redis or Valkey server of a test's own.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::WAIT_TIMEOUT;

/// The programs of Debian's packages of the same names, in the order in which they are looked for.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// A server that listens on a port and on a Unix socket, and is killed when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    program: &'static str,
    dir: TempDir,
    port: u16,
    extra: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one that writes each change to its append-only file before it answers, with these arguments besides; `None`
    /// if no such program is installed.
    #[must_use]
    pub fn start(extra: &[&str]) -> Option<Self> {
        let program = PROGRAMS.into_iter().find(|program| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        })?;
        let mut server = Self {
            program,
            dir: tempfile::tempdir().expect("a directory for the server"),
            port: free_port(),
            extra: extra.iter().map(|&text| text.to_owned()).collect(),
            child: None,
        };
        server.restart();
        Some(server)
    }

    /// Starts it again after [`RedisServer::kill`], with what it has written.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn restart(&mut self) {
        let child = Command::new(self.program)
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1"])
            .arg("--dir")
            .arg(self.dir.path())
            .arg("--unixsocket")
            .arg(self.socket())
            .args([
                "--save",
                "",
                "--appendonly",
                "yes",
                "--appendfsync",
                "always",
            ])
            .args(["--daemonize", "no", "--logfile", ""])
            .args(&self.extra)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        self.child = Some(child);
        let begun = Instant::now();
        while !self.is_answering() {
            assert!(
                begun.elapsed() < WAIT_TIMEOUT,
                "{} does not answer",
                self.program
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn is_answering(&self) -> bool {
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) else {
            return false;
        };
        let asked = stream.write_all(b"PING\r\n");
        let mut answer = [0; 4];
        // With a password it says so, and no more is asked of it here.
        asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer != *b"-LOA"
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// Ends it as the kernel would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended_already = child.kill();
            let _status = child.wait();
        }
    }

    /// Has it answer nobody, while connections stay open (SIGSTOP).
    pub fn stop(&self) {
        self.signal("STOP");
    }

    /// Has it answer again.
    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let id = self.child.as_ref().map_or(0, Child::id);
        let sent = Command::new("sh")
            .args(["-c", &format!("kill -{name} {id}")])
            .status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// What the server answers to one command in its inline form.
    #[must_use]
    pub fn ask(&self, command: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("the server is there");
        let asked = format!("{command}\r\nQUIT\r\n");
        stream.write_all(asked.as_bytes()).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        answer
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}
