//! One contestant in front of an upstream of its own, both just started.

mod authorities;
mod far_link;
mod pins;
mod program;
mod upstream;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use rustix::process::getpid;
use tempfile::TempDir;

use self::far_link::FarLink;
pub(crate) use self::far_link::Link;
pub(crate) use self::pins::Pins;
use self::program::Program;
pub(crate) use self::upstream::Seen;
use self::upstream::Upstream;
use crate::contestant::{Contestant, Kind, Post};
use crate::job::Job;
use crate::load;
use crate::process::{Held, Used, Watch, held};
use crate::upstream::KEY;

/// What the upstream speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wire {
    /// HTTP/1.1 without TLS.
    Plain,
    /// TLS, with HTTP/2 for those who can. Direct, it is plain all the same: the load has no TLS.
    Tls,
}

/// What a scenario is played under.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conditions {
    pub(crate) wire: Wire,
    /// The way to the upstream; none is loopback.
    pub(crate) link: Option<Link>,
    /// What the upstream's kernel keeps of what is not read, in bytes; none is as much as it likes.
    pub(crate) send_buffer: Option<u32>,
    /// The system's certificate authorities are to be trusted too.
    pub(crate) authorities: bool,
}

/// What the machine offers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ground {
    /// Who runs on which cores; none is all on all.
    pub(crate) pins: Option<Pins>,
    /// The program that makes a [`Link`].
    pub(crate) far_link: Option<PathBuf>,
}

/// What load and measurement work with. Everything on it ends when it is dropped.
pub(crate) struct Stage {
    program: Option<Program>,
    upstream: Upstream,
    /// Where the load connects to.
    pub(crate) address: SocketAddr,
    bearer: &'static str,
    _link: Option<FarLink>,
    _dir: TempDir,
}

/// Watches a contestant, if there is a process to watch.
pub(crate) struct Watched(Option<Watch>);

impl Stage {
    /// Starts an upstream and then the contestant, and waits until it answers.
    ///
    /// # Errors
    /// When one of them does not start.
    pub(crate) fn set(
        contestant: &Contestant,
        conditions: Conditions,
        ground: &Ground,
    ) -> Result<Self> {
        let dir = directory()?;
        let tls = conditions.wire == Wire::Tls && contestant.kind != Kind::Direct;
        let mut authority = tls.then(|| dir.path().join("authority.pem"));
        let link = conditions.link.map(|link| FarLink::make(link, ground));
        let link = link.transpose()?;
        let upstream =
            Upstream::start(authority.as_deref(), link.as_ref(), conditions.send_buffer)?;
        if let Some(own) = &mut authority
            && conditions.authorities
        {
            *own = authorities::with(own)?;
        }
        let port = free_port()?;
        let post = Post {
            dir: dir.path(),
            port,
            upstream: upstream.address,
            authority: authority.as_deref(),
            cores: ground.pins.as_ref().map_or_else(cores, Pins::of_contestant),
        };
        let start = |start| {
            let said = dir.path().join("said");
            Program::start(start, &said, port, ground.pins.as_ref())
        };
        let program = contestant.start(&post)?.map(start).transpose()?;
        let (address, bearer) = match program {
            // Whatever the caller says is replaced.
            Some(_) => (SocketAddr::from((Ipv4Addr::LOCALHOST, port)), "unused"),
            None => (upstream.address, KEY),
        };
        Ok(Self {
            program,
            upstream,
            address,
            bearer,
            _link: link,
            _dir: dir,
        })
    }

    /// A request for a job with a body of so many bytes, as this contestant has to be sent it.
    pub(crate) fn request(&self, job: Job, size: usize) -> Arc<[u8]> {
        load::request(job, size, self.bearer).into()
    }

    /// How long the contestant took from its start to its first answer, in milliseconds.
    pub(crate) fn ready(&self) -> Option<f64> {
        self.program.as_ref().map(|program| program.ready)
    }

    /// Watches what the contestant uses from now on.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn watch(&self) -> Result<Watched> {
        let program = self.program.as_ref();
        let watch = program
            .map(|program| Watch::begin(program.pid()))
            .transpose()?;
        Ok(Watched(watch))
    }

    /// What the contestant holds on to now; `None` without a process.
    ///
    /// # Errors
    /// When it has ended, or does not let us look.
    pub(crate) fn held(&self) -> Result<Option<Held>> {
        let program = self.program.as_ref();
        program.map(|program| held(program.pid())).transpose()
    }

    /// What the upstream has seen.
    ///
    /// # Errors
    /// When it has ended, or got a request without the key.
    pub(crate) fn seen(&mut self) -> Result<Seen> {
        let seen = self.upstream.seen()?;
        ensure!(
            seen.strangers == 0,
            "{} requests came without the key",
            seen.strangers
        );
        Ok(seen)
    }

    /// When the upstream saw that the caller of this job is gone ([`crate::clock`]); `None` if it
    /// does not for so long.
    pub(crate) fn gone(&mut self, number: u32, within: std::time::Duration) -> Result<Option<u64>> {
        self.upstream.gone(number, within)
    }
}

impl Watched {
    /// What was used; `None` without a process.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn end(self) -> Result<Option<Used>> {
        self.0.map(Watch::end).transpose()
    }
}

/// The number of processor cores.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A directory that nginx's workers, who are nobody, can enter too.
fn directory() -> Result<TempDir> {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::Builder::new().prefix("codex-bench-").tempdir()?;
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755))?;
    Ok(dir)
}

/// A port below those that the system gives to outgoing connections, of which there are thousands.
fn free_port() -> Result<u16> {
    let own = u16::try_from(getpid().as_raw_nonzero().get() % 10_000).unwrap_or_default();
    for step in 0..10_000 {
        let port = 20_000 + (own + step) % 10_000;
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    bail!("no free port between 20000 and 30000");
}

/// This program, which is the upstream too.
fn own_program() -> Result<PathBuf> {
    std::env::current_exe().context("the name of this program's file")
}
