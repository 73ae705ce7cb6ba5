//! What the proxy still needs once it is set up, and giving up the rest.

use std::fs::File;
use std::path::{Path, PathBuf};

use codex_process_hardening::{Mitigation, OnRefusedCall, SandboxPolicy, enter_sandbox};

use crate::config::args::Sandbox;
use crate::lifecycle::server_info::ServerInfo;
use crate::net::unix_socket::UnixSocket;
use crate::startup::replaceable_file::readable_for;
use crate::upstream::{Hop, Route};

/// The port of the resolver, for answers too long for UDP.
const DNS: u16 = 53;

/// The one of these that is often a link.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What the C library reads to resolve a name (nsswitch.conf(5), resolv.conf(5),
/// host.conf(5), gai.conf(5), hosts(5)).
const RESOLVER_FILES: [&str; 5] = [
    "/etc/nsswitch.conf",
    RESOLV_CONF,
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/hosts",
];

/// Where these are, or what they lead to: whoever looks after the network makes new files there, and puts
/// them in the place of the old ones (systemd-resolved(8), NetworkManager(8), resolvconf(8), connman(8),
/// netconfig(8), WSL).
const RESOLVER_DIRECTORIES: [&str; 7] = [
    "/etc",
    "/run/systemd/resolve",
    "/run/NetworkManager",
    "/run/resolvconf",
    "/run/connman",
    "/run/netconfig",
    "/mnt/wsl",
];

/// As many links as the kernel follows on one path (path_resolution(7)).
const MOST_LINKS: usize = 40;

/// Enters the sandbox that `mode` asks for. What could not be had is in the
/// mitigations; for [`Sandbox::Require`] the caller stops on it.
pub(crate) fn confine(
    mode: Sandbox,
    route: &Route,
    server_info: Option<&ServerInfo>,
    sockets: &[&UnixSocket],
    read_again: &[&Path],
    append_in: Vec<File>,
    dump_in: Vec<File>,
) -> Vec<Mitigation> {
    let Some(on_refused_call) = on_refused_call(mode) else {
        return Vec::new();
    };
    let hop = route.first_hop;
    let needs = SandboxPolicy {
        connect_to: port_of(hop),
        connect_to_socket: hop.is_socket,
        read: read_again
            .iter()
            .filter_map(|file| readable_for(file))
            .collect(),
        append_in,
        dump_in,
        remove_from: server_info
            .and_then(ServerInfo::directory)
            .into_iter()
            .chain(sockets.iter().filter_map(|socket| socket.directory()))
            .collect(),
        ..SandboxPolicy::default()
    };
    enter_sandbox(&needs, on_refused_call)
}

/// The same for the thread that looks names up, which needs what no other does. Measures that could not
/// be had say whose they are.
pub(crate) fn confine_resolver(mode: Sandbox) -> Vec<Mitigation> {
    let Some(on_refused_call) = on_refused_call(mode) else {
        return Vec::new();
    };
    let needs = SandboxPolicy {
        connect_to: vec![DNS],
        read: resolver_files(),
        resolve_names: true,
        ..SandboxPolicy::default()
    };
    of_thread(
        "where names are looked up",
        enter_sandbox(&needs, on_refused_call),
    )
}

/// The same for the thread that exchanges tokens: it reaches the servers that takes, and reads the file with the
/// identity token.
pub(crate) fn confine_exchange(
    mode: Sandbox,
    hops: &[Hop],
    token_file: Option<&Path>,
) -> Vec<Mitigation> {
    let Some(on_refused_call) = on_refused_call(mode) else {
        return Vec::new();
    };
    let needs = SandboxPolicy {
        connect_to: hops.iter().map(|hop| hop.port).collect(),
        read: token_file.map(readable_as_links_change).unwrap_or_default(),
        ..SandboxPolicy::default()
    };
    of_thread(
        "where tokens are exchanged",
        enter_sandbox(&needs, on_refused_call),
    )
}

/// The same for the thread that keeps leases of limits that hosts share: it reaches the server of `--ledger`.
pub(crate) fn confine_leases(mode: Sandbox, hop: Hop) -> Vec<Mitigation> {
    let Some(on_refused_call) = on_refused_call(mode) else {
        return Vec::new();
    };
    let needs = SandboxPolicy {
        connect_to: port_of(hop),
        connect_to_socket: hop.is_socket,
        ..SandboxPolicy::default()
    };
    of_thread(
        "where leases are kept",
        enter_sandbox(&needs, on_refused_call),
    )
}

/// The port of a server that is not behind a socket.
fn port_of(hop: Hop) -> Vec<u16> {
    if hop.is_socket {
        vec![]
    } else {
        vec![hop.port]
    }
}

/// Says of each measure in which thread it is, or is missing.
fn of_thread(place: &str, mut mitigations: Vec<Mitigation>) -> Vec<Mitigation> {
    for mitigation in &mut mitigations {
        mitigation.name = format!("{} {place}", mitigation.name).into();
    }
    mitigations
}

/// The directory of a file, and that of each link on the way to it: whoever replaces the file does so in one of them.
fn readable_as_links_change(file: &Path) -> Vec<PathBuf> {
    let mut directories = Vec::new();
    let mut at = file.to_owned();
    for _ in 0..MOST_LINKS {
        let Some(directory) = at.parent() else {
            break;
        };
        directories.extend(std::fs::canonicalize(directory).ok());
        match std::fs::read_link(&at) {
            Ok(target) => at = directory.join(target),
            Err(_) => break,
        }
    }
    directories.retain(|directory| {
        !SHARED_DIRECTORIES
            .map(Path::new)
            .contains(&directory.as_path())
    });
    if directories.is_empty() {
        directories.extend(std::fs::canonicalize(file).ok());
    }
    directories
}

/// Whether there is a sandbox to be had, tried on a thread that ends again: nothing is given up by it.
/// `None` if there is no thread to try it on.
pub(crate) fn rehearse(mode: Sandbox) -> Option<Vec<Mitigation>> {
    let on_refused_call = on_refused_call(mode)?;
    let rehearsal = std::thread::Builder::new()
        .name("rehearsal".to_owned())
        .spawn(move || enter_sandbox(&SandboxPolicy::default(), on_refused_call));
    rehearsal.ok()?.join().ok()
}

fn on_refused_call(mode: Sandbox) -> Option<OnRefusedCall> {
    match mode {
        Sandbox::Off => None,
        Sandbox::BestEffort => Some(OnRefusedCall::Report),
        Sandbox::Require => Some(OnRefusedCall::Kill),
    }
}

/// Directories that hold much besides a file of ours.
pub(super) const SHARED_DIRECTORIES: [&str; 10] = [
    "/", "/etc", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/usr", "/var",
];

/// The directories of the files that the C library reads, whose files are replaced, and come late: a rule
/// holds for what is there when it is made. What everybody may read in them may be read, also by a thread
/// of root, which from here on opens files as everybody. Where it cannot, or where a file is not for
/// everybody, the files as they are now.
fn resolver_files() -> Vec<PathBuf> {
    let files = RESOLVER_FILES.map(PathBuf::from);
    let led_to = led_to(Path::new(RESOLV_CONF));
    if !opens_as_everybody(&files) {
        return files.into_iter().chain(led_to).collect();
    }
    let directories = RESOLVER_DIRECTORIES.map(PathBuf::from);
    let elsewhere = led_to.map(|file| nearest_of_network(&file).unwrap_or(file));
    // What /etc has links to, such as /nix/store.
    let files = files
        .iter()
        .filter_map(|file| std::fs::canonicalize(file).ok());
    directories
        .into_iter()
        .chain(elsewhere)
        .chain(files)
        .collect()
}

#[cfg(target_os = "linux")]
fn opens_as_everybody(files: &[PathBuf]) -> bool {
    use std::os::unix::fs::MetadataExt;

    let is_for_everybody =
        |file: &PathBuf| std::fs::metadata(file).map_or(true, |found| found.mode() & 0o004 != 0);
    let is_root = rustix::process::geteuid().is_root();
    let suits = !is_root || files.iter().all(is_for_everybody);
    suits && codex_process_hardening::open_files_as_everybody().is_ok()
}

#[cfg(not(target_os = "linux"))]
fn opens_as_everybody(_files: &[PathBuf]) -> bool {
    false
}

/// What a file is a link to, whether or not that is there.
fn led_to(file: &Path) -> Option<PathBuf> {
    let mut at = file.to_owned();
    for _ in 0..MOST_LINKS {
        match std::fs::read_link(&at) {
            Ok(target) => at = at.parent()?.join(target),
            Err(_) => return Some(at),
        }
    }
    None
}

/// The nearest directory above a file that is there, if it is one where the state of the network is kept.
fn nearest_of_network(file: &Path) -> Option<PathBuf> {
    let mut above = file.ancestors().skip(1);
    let nearest = above.find_map(|directory| std::fs::canonicalize(directory).ok())?;
    let kept = ["/etc", "/run", "/mnt/wsl"];
    kept.iter()
        .any(|kept| nearest.starts_with(kept))
        .then_some(nearest)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_yet_is_followed_to_where_it_will_lead() {
        let dir = tempfile::tempdir().unwrap();
        let [first, second] = ["first", "second"].map(|name| dir.path().join(name));
        std::os::unix::fs::symlink("second", &first).unwrap();
        std::os::unix::fs::symlink("/run/nowhere/yet/resolv.conf", &second).unwrap();
        let led = led_to(&first).unwrap();
        assert_eq!(led, Path::new("/run/nowhere/yet/resolv.conf"));
        let run = fs::canonicalize("/run").ok();
        assert_eq!(nearest_of_network(&led), run);
        // A home is none of the network's.
        assert_eq!(nearest_of_network(&dir.path().join("resolv.conf")), None);
        assert_eq!(nearest_of_network(Path::new("/nowhere/resolv.conf")), None);
        std::os::unix::fs::symlink("loop", dir.path().join("loop")).unwrap();
        assert_eq!(led_to(&dir.path().join("loop")), None);
    }
}
