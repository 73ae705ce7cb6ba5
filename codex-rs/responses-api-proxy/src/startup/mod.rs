//! The order in which things happen, in stages that consume each other:
//! [`Checked`], [`Confined`](confined::Confined), [`Serving`](serving::Serving).
//!
//! Until the last stage there is one thread and one statement after the other: what is refused is refused before
//! the key is read, the process is closed to others before the key is read, the key is read before anybody can
//! connect, and everything that takes a privilege or a file is open before privileges and files are given up. A
//! stage that was not reached cannot be used: only [`Checked`] has a page for the key, and only
//! [`Confined`](confined::Confined) can start to serve.

pub(crate) mod banner;
#[cfg(codex_bench)]
mod bench_build;
pub(crate) mod budget_command;
pub(crate) mod checked;
pub(crate) mod confined;
pub(crate) mod control;
mod control_command;
mod control_status;
pub(crate) mod credential;
mod distinct_files;
pub(crate) mod exposed_key;
pub(crate) mod fleet;
mod fleet_totals;
pub(crate) mod host_names;
pub(crate) mod inherited;
pub(crate) mod ledger_file;
pub(crate) mod lifetime;
pub(crate) mod listening;
pub(crate) mod metrics;
pub(crate) mod observation;
pub(crate) mod policy_command;
mod preconnecting;
pub(crate) mod reading_again;
pub(crate) mod renewal;
mod replaceable_file;
pub(crate) mod sandbox;
pub(crate) mod serving;
pub(crate) mod spending;
mod start_up_lines;
pub(crate) mod verify_audit_log;

use std::process::ExitCode;

use anyhow::bail;
use codex_process_hardening::Mitigation;

use crate::config::args::Args;
use crate::config::command::{AuditCommand, ProxyCommand};
use crate::credential::source::serve_keys::serve_keys;
use crate::observe::stderr::{self, FlushAtTheEnd};
use crate::startup::checked::Checked;
use crate::startup::verify_audit_log::verify;

/// Runs the proxy until it is shut down, or the command in its place. `called_as` is what stands before these arguments
/// where the program has other commands, such as `responses-api-proxy`: it may be started again.
///
/// # Errors
///
/// Whatever keeps the proxy from starting, or what the command finds, with its causes. The caller prints it
/// ([`report_failure`](crate::report_failure)) and exits with 1.
pub fn run_main(args: Args, called_as: &[&str]) -> anyhow::Result<ExitCode> {
    stderr::panics_without_payload();
    let _flush = FlushAtTheEnd;
    #[cfg(codex_bench)]
    bench_build::go_without()?;
    match args.command.clone() {
        Some(ProxyCommand::Audit(AuditCommand::Verify(what))) => return verify(&what),
        Some(ProxyCommand::Policy(what)) => return policy_command::run(&what),
        Some(ProxyCommand::Budget(what)) => return budget_command::run(&what),
        Some(ProxyCommand::Doctor(what)) => return Ok(codex_doctor::run_doctor(&what, None)?),
        Some(ProxyCommand::Why(what)) => return Ok(codex_doctor::run_why(&what)?),
        Some(ProxyCommand::Control(what)) => return control_command::run(&what),
        Some(ProxyCommand::ServeKeys(what)) => {
            return serve_keys(what).map(|()| ExitCode::SUCCESS);
        }
        None => {}
    }
    Checked::new(args)?.confine(called_as)?.start()?.run()
}

/// # Errors
///
/// The first mitigation that could not be had.
fn require_all(mitigations: &[Mitigation]) -> anyhow::Result<()> {
    match mitigations
        .iter()
        .find(|mitigation| mitigation.outcome.is_err())
    {
        Some(missing) => bail!("--sandbox=require, but {missing}"),
        None => Ok(()),
    }
}
