//! A running proxy, as the kernel shows it: what it says of itself counts for nothing here but its process id.

mod executable;
mod exposed;
mod key_process;
mod landlock;
mod ledger;
mod listeners;
mod memory_access;
mod path;
mod process;
mod server_info;

use std::path::Path;

use crate::finding::Finding;
use crate::processes::Status;

/// All checks of the proxy that a server-info file leads to.
pub(crate) fn findings(named: Option<&Path>) -> Vec<Finding> {
    let (mut findings, found) = server_info::findings(named);
    let Some(found) = found else {
        return findings;
    };
    let pid = found.info.pid;
    let status = match Status::of(&pid.to_string()) {
        Ok(status) if !status.users().is_empty() => status,
        read => {
            let cause = read.err().map_or_else(
                || "there is nothing in its status".to_owned(),
                |error| error.to_string(),
            );
            findings.push(Finding::failed(
                "proxy.process",
                format!("process {pid} cannot be looked at: {cause}"),
                "none of its protections can be read back",
                "start the proxy anew, or run this as root (hidepid)",
            ));
            return findings;
        }
    };
    findings.extend(process::findings(pid, &status));
    findings.push(executable::finding(pid));
    findings.extend(exposed::findings(pid));
    findings.push(listeners::finding(pid, &found));
    findings.push(memory_access::finding(pid, &status));
    findings.push(key_process::finding(pid));
    findings.push(ledger::finding(&found));
    findings.push(landlock::finding());
    findings
}
