//! What this process was started with besides the standard streams: sockets of a service manager, and descriptors that
//! flags name. All of it is taken before anything else is opened, which could be taken for it.

use anyhow::bail;

use crate::config::Config;
use crate::config::credential_source::CredentialSource;
use crate::config::environment::{LISTEN_FDNAMES, LISTEN_FDS, LISTEN_PID, text};
use crate::config::key_source::KeySourceConfig;
use crate::config::lifecycle_args::each_has_its_own;
use crate::lifecycle::launcher::{Lifeline, ReadyFd};
use crate::net::activation::{ActivatedSocket, ActivatedSockets, Announced, FIRST};

/// Taken over, each by its owner.
#[derive(Default)]
pub(crate) struct Inherited {
    pub(crate) sockets: ActivatedSockets,
    pub(crate) lifeline: Option<Lifeline>,
    pub(crate) ready: Option<ReadyFd>,
    /// What may be meant otherwise.
    pub(crate) hint: Option<String>,
}

impl Inherited {
    /// # Errors
    ///
    /// A descriptor that is not there, not what it is to be, or named twice; sockets and flags that contradict each other.
    pub(crate) fn take(config: &Config) -> anyhow::Result<Self> {
        let mut inherited = Self::default();
        let (count, pid, names) = (text(LISTEN_FDS)?, text(LISTEN_PID)?, text(LISTEN_FDNAMES)?);
        let own = std::process::id();
        let announced = Announced::read(count.as_deref(), pid.as_deref(), names.as_deref(), own)?;
        let names = match announced {
            Announced::Nothing => Vec::new(),
            Announced::ForAnother(pid) => {
                inherited.hint = Some(format!(
                    "{LISTEN_FDS} is for process {pid} ({LISTEN_PID}), and this is {own}: its sockets are not used; a \
                     wrapper around the proxy has to give way to it (exec)"
                ));
                Vec::new()
            }
            Announced::Names(names) => names,
        };
        let lifecycle = &config.lifecycle;
        let key = match &config.credential {
            CredentialSource::Keys(KeySourceConfig::Descriptor(number)) => Some(*number),
            _ => None,
        };
        let mut claims: Vec<_> = (FIRST..)
            .zip(&names)
            .map(|(number, _)| (LISTEN_FDS, Some(number)))
            .collect();
        claims.extend([
            ("--key-fd", key),
            ("--lifeline-fd", lifecycle.lifeline_fd),
            ("--ready-fd", lifecycle.ready_fd),
        ]);
        each_has_its_own(&claims)?;
        if !names.is_empty() {
            inherited.sockets = ActivatedSockets::take(&names)?;
            inherited.sockets_or_flags(config)?;
        }
        inherited.lifeline = lifecycle.lifeline_fd.map(lifeline).transpose()?;
        inherited.ready = lifecycle.ready_fd.map(ready).transpose()?;
        Ok(inherited)
    }

    /// A socket beside those that somebody else keeps would end with the process, and with it what waits there.
    fn sockets_or_flags(&self, config: &Config) -> anyhow::Result<()> {
        let sockets = &self.sockets;
        let flag = match (config.port, &config.unix_socket) {
            (Some(_), _) => Some("--port"),
            (None, Some(_)) => Some("--listen"),
            (None, None) => None,
        };
        if let Some(flag) = flag
            && !sockets.callers.is_empty()
        {
            bail!(
                "callers come in by a socket that the proxy is started with ({LISTEN_FDS}), and {flag} names another \
                 one; leave {flag} out, or add a ListenStream= to the socket unit"
            );
        }
        if sockets.metrics.is_some() && config.metrics.is_some() {
            bail!(
                "the proxy is started with a socket metrics ({LISTEN_FDS}), and --metrics names another place; leave \
                 --metrics out"
            );
        }
        if sockets.control.is_some() {
            bail!(
                "the proxy is started with a socket control ({LISTEN_FDS}), which this version does not serve; remove it \
                 from the socket unit"
            );
        }
        // A socket for callers that no server-info can name is found by nobody who goes by that.
        let can_be_named = |socket: &ActivatedSocket| {
            socket.path().is_some() || socket.address().is_some_and(is_named_by_its_port)
        };
        let names = [
            ("--server-info", config.server_info.is_some()),
            ("--ready-fd", config.lifecycle.ready_fd.is_some()),
        ];
        if let Some((flag, _)) = names.iter().find(|(_, is_set)| *is_set)
            && !sockets.callers.is_empty()
            && !sockets.callers.iter().any(can_be_named)
        {
            bail!(
                "{flag} can name a port of 127.0.0.1 or a Unix socket, and the proxy is started with neither; add \
                 ListenStream=127.0.0.1:PORT to the socket unit, or leave {flag} out"
            );
        }
        Ok(())
    }
}

/// Clients that are given a port go to 127.0.0.1.
pub(crate) fn is_named_by_its_port(address: std::net::SocketAddr) -> bool {
    address.ip() == std::net::Ipv4Addr::LOCALHOST
}

#[cfg(unix)]
fn take(flag: &str, number: i32) -> anyhow::Result<std::os::fd::OwnedFd> {
    use anyhow::Context;

    codex_process_hardening::take_inherited(number).with_context(|| {
        format!("{flag} {number}: this process was not started with that descriptor open")
    })
}

#[cfg(unix)]
fn lifeline(number: i32) -> anyhow::Result<Lifeline> {
    let flag = "--lifeline-fd";
    let taken = take(flag, number)?;
    Lifeline::new(taken).map_err(|error| named(flag, number, error))
}

#[cfg(unix)]
fn ready(number: i32) -> anyhow::Result<ReadyFd> {
    let flag = "--ready-fd";
    let taken = take(flag, number)?;
    ReadyFd::new(taken).map_err(|error| named(flag, number, error))
}

/// The flag is the beginning of the sentence, and what is behind the error stays behind it.
#[cfg(unix)]
fn named(
    flag: &str,
    number: i32,
    error: crate::lifecycle::launcher::DescriptorError,
) -> anyhow::Error {
    let text = format!("{flag} {number} {error}");
    match error {
        crate::lifecycle::launcher::DescriptorError::Io(cause) => {
            anyhow::Error::from(cause).context(text)
        }
        _ => anyhow::Error::msg(text),
    }
}

#[cfg(not(unix))]
fn lifeline(_number: i32) -> anyhow::Result<Lifeline> {
    bail!("--lifeline-fd: no descriptors are inherited on this system; leave it out")
}

#[cfg(not(unix))]
fn ready(_number: i32) -> anyhow::Result<ReadyFd> {
    bail!("--ready-fd: no descriptors are inherited on this system; leave it out")
}
