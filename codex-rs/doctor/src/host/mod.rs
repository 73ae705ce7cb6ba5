//! What this host gives: tried where that is harmless, else read from /proc.

mod kernel;
mod limits;
mod protections;
mod sock_diag;

use crate::finding::Finding;

/// All checks of the host, in a fixed order.
pub(crate) fn findings() -> Vec<Finding> {
    let mut findings = vec![kernel::version(), protections::secret_memory()];
    findings.extend(protections::sandbox());
    findings.push(kernel::ptrace_scope());
    findings.extend(limits::all());
    findings.extend([
        kernel::swap(),
        kernel::core_pattern(),
        kernel::hidepid(),
        kernel::user_namespaces(),
        sock_diag::finding(),
    ]);
    findings
}
