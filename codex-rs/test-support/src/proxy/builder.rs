//! How the binary is to be started.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Proxy, READY};
use crate::child::{Launch, Stdin};
use crate::scan::{Scanner, TEST_KEY, test_key_scanner};
use crate::upstream::MockUpstream;

/// How a [`Proxy`] is to be started.
#[derive(Clone, Debug)]
pub struct ProxyBuilder {
    launch: Launch,
    subcommand: Option<OsString>,
    /// Arguments of ours, after those of the test.
    more: Vec<OsString>,
    server_info: bool,
    scanners: Vec<Scanner>,
}

impl ProxyBuilder {
    pub(super) fn new(program: PathBuf) -> Self {
        Self {
            launch: Launch {
                program,
                under: Vec::new(),
                args: Vec::new(),
                env: Vec::new(),
                stdin: Stdin::Bytes(format!("{TEST_KEY}\n").into_bytes()),
            },
            subcommand: None,
            more: Vec::new(),
            server_info: false,
            scanners: vec![test_key_scanner().clone()],
        }
    }

    /// Forwards to this mock: `--upstream-url`, and SSL_CERT_FILE when it speaks TLS.
    #[must_use]
    pub fn upstream(self, upstream: &MockUpstream) -> Self {
        let this = if upstream.is_tls() {
            self.env("SSL_CERT_FILE", upstream.ca_file())
        } else {
            self
        };
        this.upstream_url(&upstream.url())
    }

    /// `--upstream-url URL`.
    #[must_use]
    pub fn upstream_url(mut self, url: &str) -> Self {
        self.more.extend(["--upstream-url".into(), url.into()]);
        self
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.launch.args.push(arg.into());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.launch.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// The first argument, for the binary that has several commands.
    #[must_use]
    pub fn subcommand(mut self, name: &str) -> Self {
        self.subcommand = Some(name.into());
        self
    }

    /// `--http-shutdown`.
    #[must_use]
    pub fn http_shutdown(mut self) -> Self {
        self.more.push("--http-shutdown".into());
        self
    }

    /// `--server-info FILE` in the proxy's own directory, see [`Proxy::info_file`].
    #[must_use]
    pub fn server_info(mut self) -> Self {
        self.server_info = true;
        self
    }

    /// `--port N`.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.more.extend(["--port".into(), port.to_string().into()]);
        self
    }

    /// Sets a variable; apart from PATH there is no other.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.launch.env.push((name.into(), value.into()));
        self
    }

    /// Starts the binary by another command that runs its arguments, such as
    /// `["prlimit", "--nofile=64"]`.
    #[must_use]
    pub fn under<A: Into<OsString>>(mut self, command: impl IntoIterator<Item = A>) -> Self {
        self.launch.under = command.into_iter().map(Into::into).collect();
        self
    }

    /// Another key than [`TEST_KEY`], followed by a newline; it is searched for as well.
    #[must_use]
    pub fn key(mut self, key: impl AsRef<[u8]>) -> Self {
        self.scanners.push(Scanner::for_key(key.as_ref()));
        self.stdin(Stdin::Bytes([key.as_ref(), b"\n"].concat()))
    }

    /// Whatever else is to be on stdin.
    #[must_use]
    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.launch.stdin = stdin;
        self
    }

    /// Starts it and waits until it listens. The ready line must be the first on its stderr.
    ///
    /// # Panics
    /// When it does not get there; shows its stderr.
    #[must_use]
    #[track_caller]
    pub fn start(self) -> Proxy {
        let mut proxy = self.spawn();
        proxy.wait_ready();
        let first = proxy
            .stderr_so_far()
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned();
        assert!(
            first.starts_with(READY),
            "something came before the ready line: {first:?}"
        );
        proxy
    }

    /// Starts it and does not wait.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn spawn(mut self) -> Proxy {
        let dir = tempfile::Builder::new()
            .prefix("proxy-")
            .tempdir()
            .expect("a directory");
        let mut args: Vec<OsString> = self.subcommand.take().into_iter().collect();
        args.append(&mut self.launch.args);
        args.append(&mut self.more);
        if self.server_info {
            args.extend([
                "--server-info".into(),
                dir.path().join("server-info.json").into(),
            ]);
        }
        self.launch.args = args;
        let running = self.launch.start(dir.path());
        Proxy {
            running,
            dir,
            port: None,
            scanners: self.scanners,
        }
    }
}
