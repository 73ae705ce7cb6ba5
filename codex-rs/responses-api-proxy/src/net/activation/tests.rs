use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use super::*;

fn announced(count: &str, pid: Option<&str>, names: Option<&str>) -> Result<Announced, String> {
    Announced::read(Some(count), pid, names, 42).map_err(|error| error.to_string())
}

#[test]
fn sockets_are_announced_to_one_process() {
    assert_eq!(
        Announced::read(None, Some("42"), None, 42).unwrap(),
        Announced::Nothing
    );
    assert_eq!(announced("1", None, None), Ok(Announced::Nothing));
    assert_eq!(
        announced("1", Some("41"), None),
        Ok(Announced::ForAnother(41))
    );
    let unknown = Announced::Names(vec!["unknown".to_owned(); 2]);
    assert_eq!(announced("2", Some("42"), None), Ok(unknown));
    let named = Announced::Names(vec!["proxy".to_owned(), "metrics".to_owned()]);
    assert_eq!(announced("2", Some("42"), Some("proxy:metrics")), Ok(named));
}

#[test]
fn what_cannot_be_is_refused() {
    for count in ["0", "-1", "257", "three", "1 "] {
        let refused = announced(count, Some("42"), None).unwrap_err();
        assert!(refused.contains("LISTEN_FDS is not a number"), "{refused}");
    }
    for pid in ["", "me", "-1", "42 "] {
        let refused = announced("1", Some(pid), None).unwrap_err();
        assert!(
            refused.contains("LISTEN_PID is not the number"),
            "{refused}"
        );
    }
    for names in ["a", "a:b:c"] {
        let refused = announced("2", Some("42"), Some(names)).unwrap_err();
        assert!(refused.contains("names for the 2 sockets"), "{refused}");
    }
}

fn judged(socket: impl Into<OwnedFd>) -> Result<ActivatedSocket, String> {
    ActivatedSocket::of(socket.into()).map_err(|fault| fault.to_string())
}

#[test]
fn a_listener_of_this_host_is_taken() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    assert_eq!(judged(tcp).unwrap().address(), Some(address));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("s");
    let unix = UnixListener::bind(&path).unwrap();
    let unix = judged(unix).unwrap();
    assert_eq!((unix.address(), unix.path()), (None, Some(path.as_path())));
    // Whoever bound it removes it.
    drop(unix);
    assert!(path.exists());
}

#[test]
fn anything_else_is_refused_and_said_what_it_is() {
    let not_listening = "is not a stream socket that listens";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let bound = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let (one, _other) = UnixStream::pair().unwrap();
    let not_listeners: [OwnedFd; 5] = [
        connected.into(),
        bound.into(),
        one.into(),
        UdpSocket::bind("127.0.0.1:0").unwrap().into(),
        std::fs::File::open("/dev/null").unwrap().into(),
    ];
    for descriptor in not_listeners {
        let refused = judged(descriptor).unwrap_err();
        assert!(refused.contains(not_listening), "{refused}");
    }
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = judged(everywhere).unwrap_err();
    assert!(refused.contains("bound to 0.0.0.0:"), "{refused}");
    assert!(refused.contains("ListenStream=127.0.0.1:"), "{refused}");
    #[cfg(target_os = "linux")]
    {
        use std::os::linux::net::SocketAddrExt;
        let name = format!("codex-test-{}", std::process::id());
        let name = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let refused = judged(UnixListener::bind_addr(&name).unwrap()).unwrap_err();
        assert!(refused.contains("abstract"), "{refused}");
    }
}
