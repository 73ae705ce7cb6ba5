//! Where the proxy listens: on this host alone. As root by its descriptors, else by the port that it names.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use codex_server_info::Found;

use crate::finding::Finding;

/// `TCP_LISTEN`.
const LISTEN: &str = "0A";

/// A TCP listener of this network namespace (proc_pid_net(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Listener {
    address: SocketAddr,
    inode: u64,
}

pub(super) fn finding(pid: u32, found: &Found) -> Finding {
    let check = "proxy.listeners";
    let why = "on another address than loopback other hosts could use the key";
    let all = match tables() {
        Ok(all) => all,
        Err(error) => {
            let error = error.to_string();
            return Finding::unknown(check, error, why, "ss -tlnp");
        }
    };
    let (own, how) = match inodes(pid) {
        Ok(inodes) => {
            let own = all.into_iter().filter(|one| inodes.contains(&one.inode));
            (own.collect::<Vec<_>>(), "all of its sockets")
        }
        Err(_) => {
            let port = found.info.port;
            let own = all
                .into_iter()
                .filter(|one| Some(one.address.port()) == port);
            (
                own.collect(),
                "the port that it names; its other sockets are shown to root",
            )
        }
    };
    judge(check, why, &own, how)
}

fn judge(check: &'static str, why: &'static str, own: &[Listener], how: &str) -> Finding {
    let open: Vec<String> = own
        .iter()
        .filter(|listener| !is_loopback(listener.address.ip()))
        .map(|listener| listener.address.to_string())
        .collect();
    if !open.is_empty() {
        let found = format!("it listens on {}", open.join(", "));
        return Finding::failed(check, found, why, "find out what listens there: ss -tlnp");
    }
    let places: Vec<String> = own.iter().map(|one| one.address.to_string()).collect();
    let places = if places.is_empty() {
        "no TCP port".to_owned()
    } else {
        places.join(", ")
    };
    Finding::ok(check, format!("{places} ({how})"), why)
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn tables() -> io::Result<Vec<Listener>> {
    let mut text = fs::read_to_string("/proc/net/tcp")?;
    match fs::read_to_string("/proc/net/tcp6") {
        Ok(v6) => text.push_str(&v6),
        // There is none without IPv6.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(text.lines().filter_map(listener_of).collect())
}

fn listener_of(line: &str) -> Option<Listener> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (address, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Listener {
        address: SocketAddr::new(address_of(address)?, port),
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// Groups of 32 bits, each in the order of bytes that this machine has.
fn address_of(text: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..text.len()).step_by(8) {
        let word = u32::from_str_radix(text.get(at..at + 8)?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(Ipv4Addr::from(v4).into());
    }
    let v6 = <[u8; 16]>::try_from(bytes.as_slice()).ok()?;
    Some(Ipv6Addr::from(v6).into())
}

/// The sockets among a process's descriptors.
fn inodes(pid: u32) -> io::Result<BTreeSet<u64>> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let Ok(target) = fs::read_link(entry?.path()) else {
            continue;
        };
        let target = target.to_string_lossy().into_owned();
        let inode = target
            .strip_prefix("socket:[")
            .and_then(|rest| rest.strip_suffix(']'));
        found.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn only_loopback_is_on_this_host_alone() {
        for (address, state) in [
            ("127.0.0.1:80", State::Ok),
            ("127.1.2.3:80", State::Ok),
            ("[::1]:80", State::Ok),
            ("[::ffff:127.0.0.1]:80", State::Ok),
            ("0.0.0.0:80", State::Failed),
            ("[::]:80", State::Failed),
            ("192.168.1.5:80", State::Failed),
        ] {
            let own = [Listener {
                address: address.parse().unwrap(),
                inode: 1,
            }];
            assert_eq!(judge("c", "w", &own, "how").state, state, "{address}");
        }
    }

    #[test]
    fn a_listener_of_this_process_is_found() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::1]:0"] {
            let Ok(listener) = std::net::TcpListener::bind(address) else {
                continue;
            };
            let address = listener.local_addr().unwrap();
            let inodes = inodes(std::process::id()).unwrap();
            let own: Vec<_> = tables().unwrap();
            let is_it = |one: &Listener| one.address == address && inodes.contains(&one.inode);
            assert!(own.iter().any(is_it), "{address}: {own:?}");
        }
    }
}
