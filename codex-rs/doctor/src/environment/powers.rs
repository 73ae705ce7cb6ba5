//! Whether the caller could become root: then no protection of the proxy holds against it.

use std::path::Path;

use rustix::fs::{Access, access};
use rustix::process::{geteuid, getgroups};

use crate::finding::Finding;

/// Groups whose members are root if they want to be, as distributions set them up.
const AS_GOOD_AS_ROOT: [&str; 12] = [
    "root",
    "sudo",
    "wheel",
    "admin",
    "docker",
    "podman",
    "lxd",
    "incus-admin",
    "libvirt",
    "disk",
    "kmem",
    "shadow",
];

/// Sockets whose users can start a container with the host's files in it.
const CONTAINER_SOCKETS: [&str; 4] = [
    "/run/docker.sock",
    "/run/podman/podman.sock",
    "/run/containerd/containerd.sock",
    "/var/snap/lxd/common/lxd/unix.socket",
];

pub(super) fn finding() -> Finding {
    let check = "environment.root_equivalent";
    let why = "whoever can become root can read the key in the end, whatever the proxy does";
    if geteuid().is_root() {
        return Finding::unknown(
            check,
            "this is root, so it says nothing of the user that agents run as",
            why,
            "run it again as that user, without sudo",
        );
    }
    let ways = [groups(), sockets()].concat();
    if ways.is_empty() {
        return Finding::ok(
            check,
            "this user is in no group that is as good as root",
            why,
        );
    }
    Finding::warning(
        check,
        format!("this user has {}", ways.join(", ")),
        why,
        "run agents as a user of their own: sudo useradd --create-home agent",
    )
}

fn groups() -> Vec<String> {
    let numbers = getgroups().unwrap_or_default();
    let own = rustix::process::getegid();
    let mut found: Vec<String> = numbers
        .into_iter()
        .chain([own])
        .filter_map(|gid| {
            let gid = nix::unistd::Gid::from_raw(gid.as_raw());
            nix::unistd::Group::from_gid(gid).ok()?
        })
        .map(|group| group.name)
        .filter(|name| is_as_good_as_root(name))
        .map(|name| format!("the group {name}"))
        .collect();
    found.sort();
    found.dedup();
    found
}

fn is_as_good_as_root(group: &str) -> bool {
    AS_GOOD_AS_ROOT.contains(&group)
}

fn sockets() -> Vec<String> {
    CONTAINER_SOCKETS
        .into_iter()
        .filter(|path| Path::new(path).exists() && access(*path, Access::WRITE_OK).is_ok())
        .map(|path| format!("the use of {path}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_lead_to_root_are_told_from_others() {
        for group in ["sudo", "wheel", "docker", "lxd", "disk"] {
            assert!(is_as_good_as_root(group), "{group}");
        }
        for group in ["users", "audio", "sudoers", "codex-proxy", ""] {
            assert!(!is_as_good_as_root(group), "{group}");
        }
    }
}
