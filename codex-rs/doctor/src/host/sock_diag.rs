//! Whether the kernel tells whose a connection is (`sock_diag(7)`): `--allow-user` goes by it on a TCP port.

use std::io;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};

use crate::finding::Finding;

const HEADER: usize = 16;
/// `struct inet_diag_req_v2`.
const REQUEST: usize = HEADER + 56;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const REQUEST_ALL: u16 = 0x301;
/// `NLMSG_ERROR`.
const ERROR: u16 = 2;
const AF_INET: u8 = 2;
const IPPROTO_TCP: u8 = 6;
/// `1 << TCP_LISTEN`.
const LISTENERS: u32 = 1 << 10;

pub(super) fn finding() -> Finding {
    let check = "host.sock_diag";
    let why = "by it the proxy knows which user is at the other end of a TCP connection";
    match ask() {
        Ok(()) => Finding::ok(check, "the kernel names the users of connections", why),
        Err(error) => Finding::warning(
            check,
            format!("the kernel does not answer ({error})"),
            why,
            "a kernel with CONFIG_INET_DIAG (modprobe inet_diag tcp_diag), or --listen unix:/PATH",
        ),
    }
}

/// Asks for all listeners, and reads the first piece of the answer.
fn ask() -> io::Result<()> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC,
        Some(netlink::SOCK_DIAG),
    )?;
    send(&socket, &request(), SendFlags::empty())?;
    let mut answer = [0_u8; 8192];
    // The kernel has answered before send(2) returns.
    let (_, length) = recv(&socket, &mut answer[..], RecvFlags::DONTWAIT)?;
    check(answer.get(..length).unwrap_or_default())
}

fn request() -> Vec<u8> {
    let mut bytes = Vec::with_capacity(REQUEST);
    bytes.extend(u32::try_from(REQUEST).unwrap_or_default().to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(REQUEST_ALL.to_ne_bytes());
    // Sequence number and sender.
    bytes.extend([0; 8]);
    bytes.extend([AF_INET, IPPROTO_TCP, 0, 0]);
    bytes.extend(LISTENERS.to_ne_bytes());
    bytes.resize(REQUEST, 0);
    bytes
}

fn check(answer: &[u8]) -> io::Result<()> {
    let short = || io::Error::other("a short answer");
    let kind: [u8; 2] = answer
        .get(4..6)
        .and_then(|b| b.try_into().ok())
        .ok_or_else(short)?;
    if u16::from_ne_bytes(kind) != ERROR {
        return Ok(());
    }
    let code = answer.get(HEADER..HEADER + 4);
    let code: [u8; 4] = code.and_then(|b| b.try_into().ok()).ok_or_else(short)?;
    Err(io::Error::from_raw_os_error(
        i32::from_ne_bytes(code).wrapping_neg(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_the_kernel_is_an_error() {
        let mut answer = vec![0; 20];
        assert!(check(&answer).is_ok());
        answer[4..6].copy_from_slice(&ERROR.to_ne_bytes());
        answer[16..20].copy_from_slice(&(-2_i32).to_ne_bytes());
        assert_eq!(check(&answer).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert!(check(&answer[..18]).is_err());
        assert!(check(b"").is_err());
    }
}
