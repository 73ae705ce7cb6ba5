//! The second step: everything that is needed is open, so the rest is given up.

use crate::mitigations::Mitigation;
use crate::policy::{OnRefusedCall, SandboxPolicy};

/// Gives up capabilities, files, ports and system calls, for this thread and all
/// that it starts. Call it while there is one thread.
///
/// Nothing stops at a failure: the caller decides whether what could not be had
/// is reason enough to stop.
#[cfg(target_os = "linux")]
#[must_use]
pub fn enter_sandbox(needs: &SandboxPolicy, on_refused_call: OnRefusedCall) -> Vec<Mitigation> {
    if needs.resolve_names {
        load_resolver();
    }
    let mut mitigations = vec![Mitigation {
        name: "no capabilities".into(),
        outcome: crate::capabilities::drop_all(),
    }];
    // Before the list of system calls, which has none of those this takes.
    mitigations.extend(crate::landlock::restrict(needs));
    mitigations.push(Mitigation {
        name: "listed system calls only".into(),
        outcome: crate::seccomp::restrict(on_refused_call, needs).map_err(name_the_filter),
    });
    mitigations
}

/// The same error, with what to do where a filter of system calls is in the way: filters are added to one another.
#[cfg(target_os = "linux")]
fn name_the_filter(error: std::io::Error) -> std::io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref());
    let errno = match cause {
        Some(seccompiler::Error::Prctl(errno) | seccompiler::Error::Seccomp(errno)) => errno,
        _ => return error,
    };
    match crate::outer_filter::explain(errno, "seccomp and prctl") {
        Some(filter) => std::io::Error::new(error.kind(), format!("{error}; {filter}")),
        None => error,
    }
}

/// Gives up capabilities alone, for good: for a process that needs files, and no privilege to open them.
///
/// # Errors
///
/// Those of `capset(2)` and `prctl(2)`.
#[cfg(target_os = "linux")]
pub fn drop_capabilities() -> std::io::Result<()> {
    crate::capabilities::drop_all()
}

/// There are none here.
///
/// # Errors
///
/// Never.
#[cfg(not(target_os = "linux"))]
pub fn drop_capabilities() -> std::io::Result<()> {
    Ok(())
}

/// Looks something up, so that glibc before 2.34 has loaded the parts of its resolver: they are shared
/// objects there, loaded with the first look-up that comes to them (nss(5)), which takes files and code
/// that the sandbox does not give.
///
/// The name cannot be one, so that nobody is asked for it and nothing is waited for; and no daemon
/// answers for the parts that come after it in nsswitch.conf(5), because none can be reached.
#[cfg(target_os = "linux")]
fn load_resolver() {
    use std::net::ToSocketAddrs;

    /// More than a label may have (RFC 1035, section 2.3.4).
    const TOO_LONG: usize = 64;

    // Without seccomp there will be no list either, which is told then.
    let _ = crate::seccomp::refuse_unix_sockets();
    let name = format!("{}.invalid", "x".repeat(TOO_LONG));
    // What it says is that there is no such name.
    let _ = (name, 0).to_socket_addrs();
}

/// There is no sandbox here; the mitigation says so.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn enter_sandbox(_needs: &SandboxPolicy, _on_refused_call: OnRefusedCall) -> Vec<Mitigation> {
    vec![Mitigation {
        name: "sandbox".into(),
        outcome: Err(std::io::ErrorKind::Unsupported.into()),
    }]
}
