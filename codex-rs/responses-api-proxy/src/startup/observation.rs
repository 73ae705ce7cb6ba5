//! What is told of requests, and to whom: opened while there are privileges and files, started in the sandbox.

use std::fs::File;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use codex_audit_log::Chain;
use codex_pricing::{Overlay, Prices};

use crate::config::Config;
use crate::config::args::LogFormat;
use crate::dumps::{Dumps, DumpsAt};
use crate::observe::audit_file::AuditFile;
use crate::observe::audit_log::AuditLog;
use crate::observe::cost::Costs;
use crate::observe::log_file::LogFile;
use crate::observe::log_writer::{LogWriter, Stuck, WhenFull};
use crate::observe::metrics::exposition::Registered;
use crate::observe::observer::Observer;
use crate::observe::queue::Queue;
use crate::observe::recorder::{MOST_WAITING, OnStderr, Recorder, Sinks};
use crate::observe::stderr;
use crate::observe::timestamp::TimeOfDay;
use crate::observe::user_names::UserNames;
use crate::startup::banner::Banner;

/// The longest file of prices, in bytes.
const MOST_OF_PRICES: u64 = 1024 * 1024;

/// Everything that is asked for, open.
pub(crate) struct Observation {
    on_stderr: OnStderr,
    access_log: Option<LogFile>,
    dumps: Option<DumpsAt>,
    audit: Option<Audit>,
    overlay: Option<Overlay>,
    has_metrics: bool,
    names: UserNames,
}

/// The audit log, and where its chain goes on.
struct Audit {
    file: AuditFile,
    chain: Chain,
    is_required: bool,
    /// Requests that may be in flight: so many records may come while nothing is written.
    most_in_flight: usize,
}

/// What observes, at work.
pub(crate) struct Observing {
    pub(crate) observer: Observer,
    /// `None`: no records are kept.
    pub(crate) recorder: Option<Recorder>,
    /// To be opened anew on SIGHUP.
    pub(crate) logs: Vec<LogWriter>,
    pub(crate) metrics: Option<Registered>,
    pub(crate) dumps: Option<Dumps>,
    /// The log without which nothing is served, if there is one.
    pub(crate) required_log: Option<Stuck>,
}

impl Observation {
    /// Files may belong to the user that the process becomes, too. `overlay` has prices that override those built in.
    ///
    /// # Errors
    ///
    /// What cannot be opened or read, with its causes.
    pub(crate) fn open(
        config: &Config,
        becomes: Option<u32>,
        overlay: Option<Overlay>,
        has_metrics: bool,
    ) -> anyhow::Result<Self> {
        let is_terminal = std::io::stderr().is_terminal();
        let text = OnStderr::Text {
            time_of_day: TimeOfDay::by_this_place(),
            is_terminal,
        };
        let on_stderr = match config.log_format {
            Some(LogFormat::Json) => OnStderr::Json,
            Some(LogFormat::Text) => text,
            None if is_terminal => text,
            None => OnStderr::Faults,
        };
        let access_log = config
            .access_log
            .as_deref()
            .map(|path| LogFile::open(path, becomes))
            .transpose()
            .context("--access-log")?;
        let audit = open_audit(config, becomes).context("--audit-log")?;
        let dumps = config.dump_dir.as_deref();
        Ok(Self {
            on_stderr,
            dumps: dumps
                .map(|path| DumpsAt::open(path, config.dump_limit, becomes))
                .transpose()
                .context("--dump-dir")?,
            access_log,
            audit,
            overlay,
            has_metrics,
            names: UserNames::of_this_host(),
        })
    }

    /// Directories in which logs are made anew after they were rotated.
    pub(crate) fn directories(&self) -> Vec<File> {
        self.files().filter_map(LogFile::directory).collect()
    }

    fn files(&self) -> impl Iterator<Item = &LogFile> {
        let audit = self.audit.as_ref().map(|audit| audit.file.log());
        self.access_log.iter().chain(audit)
    }

    /// The one that dumps are made in.
    pub(crate) fn dump_directory(&self) -> Vec<File> {
        self.dumps.iter().filter_map(DumpsAt::handle).collect()
    }

    /// To be asked once the process is the user that it stays.
    pub(crate) fn warn(&self, banner: &mut Banner) {
        if let Some(dumps) = &self.dumps {
            banner.warn(format_args!(
                "what callers ask and what they are answered is written to {} (--dump-dir)",
                dumps.path().display()
            ));
        }
        for log in self.files() {
            if let Some(by) = log.replaceable_by() {
                banner.warn(by.warning(log.path(), "so decide what the log says"));
            }
            if log.directory().is_none() || log.may_be_made_anew() {
                continue;
            }
            banner.hint(format_args!(
                "SIGHUP finds no new file in the place of {} unless somebody makes it, because the user of \
                 --user may not write its directory",
                log.path().display()
            ));
        }
    }

    /// Starts the threads, each as confined as this one. `upstream` is the host that lines name; the process may have
    /// so many descriptors.
    ///
    /// # Errors
    ///
    /// When there is no thread to be had.
    pub(crate) fn start(self, upstream: String, descriptors: u64) -> anyhow::Result<Observing> {
        let no_thread = "a thread for the log cannot start (ulimit -u)";
        let dumps = self.dumps.map(|dumps| dumps.start(descriptors));
        let dumps = dumps.transpose().context(no_thread)?;
        let says_faults = matches!(self.on_stderr, OnStderr::Faults);
        let has_log = self.access_log.is_some() || self.audit.is_some();
        if says_faults && !has_log && !self.has_metrics {
            return Ok(Observing {
                observer: Observer::new(upstream, self.names, None, true),
                recorder: None,
                logs: Vec::new(),
                metrics: None,
                dumps,
                required_log: None,
            });
        }
        let access_log = self
            .access_log
            .map(|file| LogWriter::start("access-log", file))
            .transpose()
            .context(no_thread)?;
        let most_in_flight = self.audit.as_ref().map_or(0, |audit| audit.most_in_flight);
        let queue = Arc::new(Queue::new(MOST_WAITING.saturating_add(most_in_flight)));
        let observer = Observer::new(upstream, self.names, Some(Arc::clone(&queue)), says_faults);
        let overlay = self.overlay;
        // Where it is called, because it takes a while.
        let costs = move || {
            let prices = Prices::bundled();
            Costs::new(match overlay {
                Some(overlay) => prices.with_overlay(overlay),
                None => prices,
            })
        };
        let (counting, metrics) = self.has_metrics.then(Registered::new).unzip();
        let mut logs: Vec<LogWriter> = access_log.iter().cloned().collect();
        let mut required_log = None;
        let mut audit_log = None;
        if let Some(audit) = self.audit {
            let when_full = match audit.is_required {
                true => WhenFull::Keep,
                false => WhenFull::Drop,
            };
            let writer = LogWriter::start_with("audit-log", audit.file, when_full);
            let writer = writer.context(no_thread)?;
            required_log = audit.is_required.then(|| writer.stuck().clone());
            logs.push(writer.clone());
            let log = AuditLog::begin(writer, audit.chain, audit.is_required, &observer);
            audit_log = Some(log);
        }
        let sinks = Sinks {
            on_stderr: self.on_stderr,
            access_log,
            metrics: counting,
            audit_log,
        };
        let recorder = Recorder::start(queue, observer.clone(), costs, sinks);
        Ok(Observing {
            observer,
            recorder: Some(recorder.context(no_thread)?),
            logs,
            metrics,
            dumps,
            required_log,
        })
    }
}

/// Has logs opened anew, on SIGHUP: those of the `flags`. What fails has a line of its own.
pub(crate) fn open_again(logs: &[LogWriter], flags: &[&str]) {
    logs.iter().for_each(LogWriter::reopen);
    stderr::line(format_args!("logs opened again: {}", flags.join(", ")));
}

fn open_audit(config: &Config, becomes: Option<u32>) -> anyhow::Result<Option<Audit>> {
    let Some(path) = &config.audit_log else {
        return Ok(None);
    };
    let (file, chain) = AuditFile::open(path, becomes)?;
    Ok(Some(Audit {
        file,
        chain,
        is_required: config.audit_required,
        most_in_flight: config.limits.max_requests,
    }))
}

/// The prices of `--prices`.
///
/// # Errors
///
/// When the file cannot be read, or is wrong.
pub(super) fn read_prices(path: &Path) -> anyhow::Result<Overlay> {
    let of = || format!("--prices {}", path.display());
    let file = codex_trusted_path::read_small(path, MOST_OF_PRICES).with_context(of)?;
    let text = std::str::from_utf8(&file.bytes)
        .context("it is not UTF-8")
        .with_context(of)?;
    Overlay::parse(text).with_context(of)
}
