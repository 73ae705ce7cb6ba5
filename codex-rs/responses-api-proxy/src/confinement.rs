//! What the proxy still needs once it is set up, and giving up the rest.

use std::path::{Path, PathBuf};

use codex_process_hardening::{Measure, Needs, OnRefusedCall, enter_sandbox};

use crate::args::Sandbox;
use crate::server_info::ServerInfo;
use crate::unix_socket::UnixSocket;
use crate::upstream::Route;

/// The port of the resolver, for answers too long for UDP.
const DNS: u16 = 53;

/// What the C library reads to resolve a name (nsswitch.conf(5), resolv.conf(5),
/// host.conf(5), gai.conf(5), hosts(5)).
const RESOLVER_FILES: [&str; 5] = [
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/hosts",
];

/// Enters the sandbox that `mode` asks for. What could not be had is in the
/// measures; for [`Sandbox::Require`] the caller stops on it.
pub(crate) fn confine(
    mode: Sandbox,
    route: &Route,
    server_info: Option<&ServerInfo>,
    socket: Option<&UnixSocket>,
    token_file: Option<&Path>,
) -> Vec<Measure> {
    let on_refused_call = match mode {
        Sandbox::Off => return Vec::new(),
        Sandbox::BestEffort => OnRefusedCall::Report,
        Sandbox::Require => OnRefusedCall::Kill,
    };
    let hop = route.first_hop;
    let mut needs = Needs {
        connect_to: if hop.is_socket {
            vec![]
        } else {
            vec![hop.port]
        },
        connect_to_socket: hop.is_socket,
        ..Needs::default()
    };
    if hop.is_name {
        needs.connect_to.push(DNS);
        needs.resolve_names = true;
        needs.read = resolver_files();
    }
    needs.read.extend(token_file.and_then(readable_for));
    needs.remove_from = server_info
        .and_then(ServerInfo::directory)
        .into_iter()
        .chain(socket.and_then(UnixSocket::directory))
        .collect();
    enter_sandbox(&needs, on_refused_call)
}

/// Directories that hold much besides a file of ours.
const SHARED_DIRECTORIES: [&str; 10] = [
    "/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var",
];

/// What has to be readable to read a file again: its directory, because an editor
/// replaces the file by a new one; in a directory that is shared with others the
/// file alone, which then has to be rewritten in place.
fn readable_for(file: &Path) -> Option<PathBuf> {
    let file = std::fs::canonicalize(file).ok()?;
    let directory = file.parent()?.to_owned();
    let is_shared = SHARED_DIRECTORIES
        .iter()
        .any(|shared| directory == Path::new(shared));
    Some(if is_shared { file } else { directory })
}

/// The files themselves, and for a resolv.conf that lies elsewhere its directory:
/// there it is replaced by a new file whenever the network changes.
fn resolver_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = RESOLVER_FILES.iter().map(PathBuf::from).collect();
    let elsewhere = std::fs::canonicalize("/etc/resolv.conf")
        .ok()
        .and_then(|file| Some(file.parent()?.to_owned()))
        .filter(|directory| directory != Path::new("/etc"));
    files.extend(elsewhere);
    files
}
