//! The second step: everything that is needed is open, so the rest is given up.

use std::fs::File;
use std::path::PathBuf;

use crate::measures::Measure;

/// What the process still has to be able to do. All else is refused.
#[derive(Debug, Default)]
pub struct Needs {
    /// TCP ports it connects to: the upstream's or its proxy's, and the resolver's.
    pub connect_to: Vec<u16>,
    /// It connects to a Unix socket: its upstream is one.
    pub connect_to_socket: bool,
    /// Files it opens for reading, if they exist, or directories for all that is beneath them.
    pub read: Vec<PathBuf>,
    /// It looks names up: UDP, and the netlink that the C library orders addresses by. Read and connected
    /// to is what [`read`](Self::read) and [`connect_to`](Self::connect_to) say.
    pub resolve_names: bool,
    /// Directories it removes a file from, open: a path may lead elsewhere by now.
    pub remove_from: Vec<File>,
}

/// What becomes of a system call that is not on the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnRefusedCall {
    /// It fails with `EPERM`, and one line on standard error names it.
    Report,
    /// It ends the process.
    Kill,
}

/// Gives up capabilities, files, ports and system calls, for this thread and all
/// that it starts. Call it while there is one thread.
///
/// Nothing stops at a failure: the caller decides whether what could not be had
/// is reason enough to stop.
#[cfg(target_os = "linux")]
#[must_use]
pub fn enter_sandbox(needs: &Needs, on_refused_call: OnRefusedCall) -> Vec<Measure> {
    if needs.resolve_names {
        load_resolver();
    }
    let mut measures = vec![Measure {
        name: "no capabilities".into(),
        outcome: crate::capabilities::drop_all(),
    }];
    // Before the list of system calls, which has none of those this takes.
    measures.extend(crate::files_and_ports::restrict(needs));
    measures.push(Measure {
        name: "listed system calls only".into(),
        outcome: crate::system_calls::restrict(on_refused_call, needs),
    });
    measures
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
    let _ = crate::system_calls::refuse_unix_sockets();
    let name = format!("{}.invalid", "x".repeat(TOO_LONG));
    // What it says is that there is no such name.
    let _ = (name, 0).to_socket_addrs();
}

/// There is no sandbox here; the measure says so.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn enter_sandbox(_needs: &Needs, _on_refused_call: OnRefusedCall) -> Vec<Measure> {
    vec![Measure {
        name: "sandbox".into(),
        outcome: Err(std::io::ErrorKind::Unsupported.into()),
    }]
}
