//! A real Redis or Valkey server of a test's own.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::WAIT_TIMEOUT;
use crate::tls::{CERTIFICATE_FILE, Certificate, Identity, KEY_FILE};

const SOCKET: &str = "socket";

/// The programs of Debian's packages of the same names, in the order in which they are looked for.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];

/// How often another port is tried, where somebody took the one that was free.
const PORTS: usize = 5;

/// A server that listens on a port and on a Unix socket, and is killed when this is dropped.
#[derive(Debug)]
pub struct RedisServer {
    program: &'static str,
    dir: TempDir,
    port: u16,
    extra: Vec<String>,
    identity: Option<Identity>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts one that writes each change to its append-only file before it answers, with these arguments besides; `None`
    /// if no such program is installed.
    #[must_use]
    pub fn start(extra: &[&str]) -> Option<Self> {
        Self::start_as(extra, None)
    }

    /// The same, whose port is spoken to by TLS.
    #[must_use]
    pub fn start_with_tls(certificate: Certificate) -> Option<Self> {
        Self::start_as(&[], Some(Identity::new(certificate)))
    }

    fn start_as(extra: &[&str], identity: Option<Identity>) -> Option<Self> {
        let program = PROGRAMS.into_iter().find(|program| {
            let version = Command::new(program).arg("--version").output();
            version.is_ok_and(|output| output.status.success())
        })?;
        let mut server = Self {
            program,
            dir: tempfile::tempdir().expect("a directory for the server"),
            port: 0,
            extra: extra.iter().map(|&text| text.to_owned()).collect(),
            identity,
            child: None,
        };
        if let Some(identity) = &server.identity {
            identity
                .write_pem(server.dir.path())
                .expect("its certificate");
        }
        for _ in 0..PORTS {
            server.port = free_port();
            if server.try_start() {
                return Some(server);
            }
        }
        panic!("{program} does not start with {extra:?}");
    }

    /// Starts it again after [`RedisServer::kill`], with what it has written.
    ///
    /// # Panics
    /// If it does not answer in time.
    pub fn restart(&mut self) {
        assert!(self.try_start(), "{} does not start again", self.program);
    }

    /// Whether it has come to answer; if not, it has ended.
    fn try_start(&mut self) -> bool {
        let port = self.port.to_string();
        let mut command = Command::new(self.program);
        if self.identity.is_some() {
            let in_dir = |name: &str| self.dir.path().join(name);
            command.args([
                "--port",
                "0",
                "--tls-auth-clients",
                "no",
                "--tls-port",
                &port,
            ]);
            command.arg("--tls-cert-file").arg(in_dir(CERTIFICATE_FILE));
            command.arg("--tls-key-file").arg(in_dir(KEY_FILE));
            command.arg("--tls-ca-cert-file").arg(self.ca_file());
        } else {
            command.args(["--port", &port]);
        }
        let child = command
            .args(["--bind", "127.0.0.1", "--dir"])
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
        let child = self.child.insert(child);
        let begun = Instant::now();
        let socket = self.dir.path().join(SOCKET);
        while !is_answering(&socket) {
            if child.try_wait().expect("its status").is_some() {
                return false;
            }
            assert!(
                begun.elapsed() < WAIT_TIMEOUT,
                "{} does not answer",
                self.program
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `redis://127.0.0.1:PORT`, or `rediss:` with TLS.
    #[must_use]
    pub fn url(&self) -> String {
        let scheme = if self.identity.is_some() {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(SOCKET)
    }

    /// The CA that its certificate is checked against, with TLS.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.identity
            .as_ref()
            .map(Identity::ca_file)
            .unwrap_or_default()
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
        let mut stream = UnixStream::connect(self.socket()).expect("the server is there");
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

fn is_answering(socket: &Path) -> bool {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return false;
    };
    let asked = stream.write_all(b"PING\r\n");
    let mut answer = [0; 4];
    // With a password it says so, and no more is asked of it here.
    asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer != *b"-LOA"
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its number").port()
}
