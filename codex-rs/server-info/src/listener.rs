//! Which user listens at an address of this host, as the kernel reports it.

use std::fs;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;

use codex_process_hardening::peer_of;

/// Whose listener gets connections to `port` of 127.0.0.1 (`/proc/net/tcp`, proc_pid_net(5)).
pub(crate) fn tcp_listener(port: u16) -> io::Result<Option<u32>> {
    let v4 = fs::read_to_string("/proc/net/tcp")?;
    // There is none without IPv6.
    let v6 = match fs::read_to_string("/proc/net/tcp6") {
        Ok(v6) => v6,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(error),
    };
    Ok(listener_in(&v4, &v6, port))
}

/// The listener on the very address comes before one on all addresses, of IPv4 before IPv6.
fn listener_in(v4: &str, v6: &str, port: u16) -> Option<u32> {
    const LOOPBACK: &str = "0100007F";
    const ANY: &str = "00000000";
    // In the order of bytes in memory, 32 bits at a time.
    const MAPPED_LOOPBACK: &str = "0000000000000000FFFF00000100007F";
    const ANY_V6: &str = "00000000000000000000000000000000";
    let loopback = if cfg!(target_endian = "big") {
        ["7F000001", "00000000000000000000FFFF7F000001"]
    } else {
        [LOOPBACK, MAPPED_LOOPBACK]
    };
    let [exact, mapped] = loopback;
    [(v4, exact), (v6, mapped), (v4, ANY), (v6, ANY_V6)]
        .into_iter()
        .find_map(|(table, address)| {
            let local = format!("{address}:{port:04X}");
            table.lines().find_map(|line| {
                let mut fields = line.split_whitespace();
                let is_it = fields.nth(1)? == local && fields.nth(1)? == LISTEN;
                is_it.then(|| fields.nth(3)?.parse().ok())?
            })
        })
}

/// `TCP_LISTEN`.
const LISTEN: &str = "0A";

/// Whose listener gets connections to a Unix socket: whoever called listen(2) (unix(7), `SO_PEERCRED`).
pub(crate) fn unix_listener(path: &Path) -> io::Result<Option<u32>> {
    match UnixStream::connect(path) {
        Ok(stream) => Ok(Some(peer_of(&stream)?.user)),
        Err(error) if is_nobody(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_nobody(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const TCP: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1
   1: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 2 1
   2: 0100007F:1F91 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1002        0 3 1
   3: 00000000:1F92 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 4 1
   4: 0200007F:1F93 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1004        0 5 1
";
    const TCP6: &str = "\
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:1F93 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1005        0 6 1
   1: 00000000000000000000000001000000:1F94 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000  1006        0 7 1
";

    #[cfg(target_endian = "little")]
    #[test]
    fn the_listener_that_gets_the_connection_is_found() {
        for (port, owner) in [
            (8080, Some(1000)),
            (8081, None),
            (8082, Some(1003)),
            (8083, Some(1005)),
            (8084, None),
            (8085, None),
        ] {
            assert_eq!(listener_in(TCP, TCP6, port), owner, "{port}");
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let own = rustix::process::geteuid().as_raw();
        assert_eq!(tcp_listener(port).unwrap(), Some(own));
        drop(listener);
        assert_eq!(tcp_listener(port).unwrap(), None);
    }
}
