//! Who is measured, and how each is started.

mod codex;
mod haproxy;
mod nginx;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// How the version ends that a build with `--cfg codex_bench` says.
const BENCH_BUILD: &str = "for benchmarks alone";

/// The kinds of contestant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Kind {
    /// No proxy: the load talks to the upstream directly
    Direct,
    /// This project's proxy
    Ours,
    /// This project's proxy with an access log and metrics
    OursLogged,
    /// This project's proxy without logs, with a policy of a thousand users
    OursLimited,
    /// This project's proxy without wiping freed memory (a build with --cfg codex_bench)
    OursUnwiped,
    /// This project's proxy without looking for the key in answers (a build with --cfg codex_bench)
    OursUnredacted,
    /// This project's proxy without a sandbox
    OursUnconfined,
    Nginx,
    Haproxy,
    /// The subcommand of the same name in OpenAI's Codex CLI
    Peer,
}

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    pub(crate) kind: Kind,
    /// What it is called in the results.
    pub(crate) label: String,
    /// The program's own file; none for [`Kind::Direct`].
    pub(crate) program: PathBuf,
    /// What it says of its version.
    pub(crate) version: String,
}

/// Where a contestant is to work.
pub(crate) struct Post<'a> {
    /// A directory of its own.
    pub(crate) dir: &'a Path,
    pub(crate) port: u16,
    pub(crate) upstream: SocketAddr,
    /// The authority that signed the upstream's certificate, if it speaks TLS.
    pub(crate) authority: Option<&'a Path>,
    /// How many processor cores it has.
    pub(crate) cores: usize,
}

/// A command, and what is to be written to its standard input.
pub(crate) struct Start {
    pub(crate) command: Command,
    pub(crate) input: String,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Ours => "ours",
            Self::OursLogged => "ours+log",
            Self::OursLimited => "ours+policy",
            Self::OursUnwiped => "ours-wiping",
            Self::OursUnredacted => "ours-redaction",
            Self::OursUnconfined => "ours-sandbox",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::Peer => "peer",
        })
    }
}

impl Contestant {
    /// The load alone.
    pub(crate) fn direct() -> Self {
        Self {
            kind: Kind::Direct,
            label: "direct".to_owned(),
            program: PathBuf::new(),
            version: "no proxy".to_owned(),
        }
    }

    /// A program, which is asked for its version.
    ///
    /// # Errors
    /// When it cannot be run.
    pub(crate) fn new(kind: Kind, label: &str, program: &Path) -> Result<Self> {
        let flag = match kind {
            Kind::Nginx | Kind::Haproxy => "-v",
            _ => "--version",
        };
        let said = Command::new(program)
            .arg(flag)
            .output()
            .with_context(|| format!("cannot run {}", program.display()))?;
        let said = [said.stdout, said.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let first = said.lines().next().unwrap_or_default();
        if matches!(kind, Kind::OursUnwiped | Kind::OursUnredacted) && !first.ends_with(BENCH_BUILD)
        {
            bail!(
                "{} is a build with all protections: {kind} needs RUSTFLAGS='--cfg codex_bench'",
                program.display()
            );
        }
        let version = first.split_whitespace().find_map(|word| {
            let word = word.trim_start_matches("nginx/");
            word.starts_with(|c: char| c.is_ascii_digit())
                .then_some(word)
        });
        Ok(Self {
            kind,
            label: label.to_owned(),
            program: program.to_owned(),
            version: version.unwrap_or("unknown version").to_owned(),
        })
    }

    /// How it is started at this post; its configuration, if it needs one, is written there.
    ///
    /// # Errors
    /// When the configuration cannot be written.
    pub(crate) fn start(&self, post: &Post<'_>) -> Result<Option<Start>> {
        let mut start = match self.kind {
            Kind::Direct => return Ok(None),
            Kind::Ours => codex::start_ours(&self.program, post),
            Kind::Peer => codex::start(&self.program, post),
            Kind::OursLogged => codex::start_with_logs(&self.program, post),
            Kind::OursLimited => codex::start_with_policy(&self.program, post)?,
            Kind::OursUnwiped => codex::start_without("wiping", &self.program, post),
            Kind::OursUnredacted => codex::start_without("redaction", &self.program, post),
            Kind::OursUnconfined => codex::start_without_sandbox(&self.program, post),
            Kind::Nginx => nginx::start(&self.program, post)?,
            Kind::Haproxy => haproxy::start(&self.program, post)?,
        };
        // Neither our proxies nor our own key reach it; libraries that came with it do.
        let kept = ["PATH", "LD_LIBRARY_PATH"];
        for name in kept {
            if let Some(value) = std::env::var_os(name) {
                start.command.env(name, value);
            }
        }
        Ok(Some(start))
    }

    /// Its configuration, for whoever wants to judge whether it is fair.
    pub(crate) fn configuration(&self, post: &Post<'_>) -> Option<String> {
        match self.kind {
            Kind::Nginx => Some(nginx::configuration(post)),
            Kind::Haproxy => Some(haproxy::configuration(post)),
            _ => None,
        }
    }
}

/// A program of this name on the PATH, or where Debian puts servers.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin"), PathBuf::from("/usr/local/sbin")])
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}
