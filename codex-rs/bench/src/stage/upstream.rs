//! The upstream's process, and what it says.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::FarLink;

/// How long it may take to say what it was asked.
const TIMEOUT: Duration = Duration::from_secs(10);

pub(super) struct Upstream {
    child: Child,
    ask: Option<ChildStdin>,
    said: Receiver<String>,
    pub(super) address: SocketAddr,
    gone: HashMap<u32, u64>,
    seen: Option<Seen>,
}

/// What an upstream has seen since its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    /// Connections that spoke HTTP/1.1.
    pub(crate) h1: u64,
    /// Connections that spoke HTTP/2.
    pub(crate) h2: u64,
    /// Requests without the key.
    pub(crate) strangers: u64,
}

impl Upstream {
    /// Starts it; with TLS if there is a file to write its authority to, at the far end of a link if there is one.
    pub(super) fn start(
        authority: Option<&Path>,
        link: Option<&FarLink>,
        send_buffer: Option<u32>,
    ) -> Result<Self> {
        let own = super::own_program()?;
        let (mut command, ip) = match link {
            Some(link) => (link.at_far_end(&own), link.address()),
            None => (Command::new(own), IpAddr::V4(Ipv4Addr::LOCALHOST)),
        };
        command.args(["upstream", "--listen", &ip.to_string()]);
        if let Some(authority) = authority {
            command.arg("--tls").arg(authority);
        }
        if let Some(size) = send_buffer {
            command.args(["--send-buffer", &size.to_string()]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the upstream")?;
        let out = child.stdout.take().context("the upstream's output")?;
        let ask = child.stdin.take();
        let (say, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        let mut upstream = Self {
            child,
            ask,
            said,
            address: SocketAddr::new(ip, 0),
            gone: HashMap::new(),
            seen: None,
        };
        upstream
            .wait(TIMEOUT, |upstream| {
                (upstream.address.port() != 0).then_some(())
            })?
            .context("the upstream does not listen")?;
        Ok(upstream)
    }

    pub(super) fn seen(&mut self) -> Result<Seen> {
        self.seen = None;
        let ask = self.ask.as_mut().context("the upstream's input")?;
        ask.write_all(b"\n").context("the upstream has ended")?;
        let seen = self.wait(TIMEOUT, |upstream| upstream.seen)?;
        seen.context("the upstream does not answer")
    }

    pub(super) fn gone(&mut self, number: u32, within: Duration) -> Result<Option<u64>> {
        self.wait(within, |upstream| upstream.gone.remove(&number))
    }

    /// Reads what it says until something is there; `None` if that takes too long.
    fn wait<T>(
        &mut self,
        within: Duration,
        there: impl Fn(&mut Self) -> Option<T>,
    ) -> Result<Option<T>> {
        let deadline = Instant::now() + within;
        loop {
            if let Some(found) = there(self) {
                return Ok(Some(found));
            }
            match self
                .said
                .recv_timeout(deadline.saturating_duration_since(Instant::now()))
            {
                Ok(line) => self.hear(&line)?,
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => bail!("the upstream has ended"),
            }
        }
    }

    fn hear(&mut self, line: &str) -> Result<()> {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["listening", port] => self.address.set_port(port.parse()?),
            ["gone", number, when] => {
                self.gone.insert(number.parse()?, when.parse()?);
            }
            ["seen", h1, h2, strangers] => {
                self.seen = Some(Seen {
                    h1: h1.parse()?,
                    h2: h2.parse()?,
                    strangers: strangers.parse()?,
                });
            }
            _ => bail!("the upstream says: {line}"),
        }
        Ok(())
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        drop(self.ask.take());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
