//! A way to the upstream that takes time and loses packets: a network namespace for the upstream, and a
//! program between it and ours that keeps each packet for a while (`scripts/bench.d/far_link.py`).

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Ground;

/// The address that the program gives the far end.
const FAR_END: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 2);

/// What the way is like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Link {
    /// In milliseconds.
    pub(crate) round_trip: u32,
    /// The share of packets that get lost, in each direction (0 to 1).
    pub(crate) loss: f64,
}

/// A link at work, until it is dropped.
pub(super) struct FarLink(Child);

impl FarLink {
    /// Makes it.
    ///
    /// # Errors
    /// When this process may not, or has no network namespace of its own.
    pub(super) fn make(link: Link, ground: &Ground) -> Result<Self> {
        let program = ground.far_link.as_ref();
        let program = program.context("no --far-link")?;
        // Else it would set up interfaces on the machine.
        let namespace = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
        let is_own = namespace("self").ok() != namespace("1").ok() || std::process::id() == 1;
        ensure!(
            is_own,
            "this needs a network namespace, which scripts/bench makes where root runs it"
        );
        let mut child = Command::new(program)
            .arg(link.round_trip.to_string())
            .arg(link.loss.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let out = child.stdout.take().context("the output of the link")?;
        let made = Self(child);
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line)?;
        ensure!(line == "ready\n", "the link cannot be made");
        Ok(made)
    }

    /// A command that runs a program at the far end.
    pub(super) fn at_far_end(&self, program: &Path) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/proc/{}/ns/net", self.0.id()))
            .arg(program);
        command
    }

    /// The address of the far end.
    pub(super) fn address(&self) -> IpAddr {
        IpAddr::V4(FAR_END)
    }
}

impl Drop for FarLink {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
