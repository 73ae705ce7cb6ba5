//! `doctor`: all checks, one after the other.

use std::io;
use std::process::ExitCode;

use crate::args::DoctorArgs;
use crate::client::{self, ClientFacts};
use crate::report::Report;
use crate::{environment, finding};

/// Looks at everything and prints it on standard output. `client` is what the client's configuration comes to, where
/// this program has a client.
///
/// The exit status is 0 if nothing failed, else 1.
///
/// # Errors
///
/// Those of writing; that nobody reads any more is not one.
pub fn run_doctor(args: &DoctorArgs, client: Option<&ClientFacts>) -> io::Result<ExitCode> {
    let mut report = Report::default();
    report.add(of_host());
    report.add(environment::findings());
    report.add(client::findings(client));
    report.add(of_proxy(args));
    match report.print(&mut io::stdout().lock(), args.json) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
        _ => {}
    }
    Ok(if report.has_failed() {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

#[cfg(target_os = "linux")]
fn of_host() -> Vec<finding::Finding> {
    crate::host::findings()
}

#[cfg(target_os = "linux")]
fn of_proxy(args: &DoctorArgs) -> Vec<finding::Finding> {
    crate::proxy::findings(args.server_info.as_deref())
}

#[cfg(not(target_os = "linux"))]
fn of_host() -> Vec<finding::Finding> {
    vec![finding::Finding::unknown(
        "host",
        "not looked at: these checks are for Linux",
        "what the proxy can protect the key with depends on the kernel",
        "run it on Linux",
    )]
}

#[cfg(not(target_os = "linux"))]
fn of_proxy(_args: &DoctorArgs) -> Vec<finding::Finding> {
    vec![finding::Finding::unknown(
        "proxy",
        "not looked at: these checks are for Linux",
        "its protections are read back from /proc",
        "run it on Linux",
    )]
}
