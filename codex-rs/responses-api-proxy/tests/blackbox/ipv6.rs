//! The same port on `[::1]`.

use std::net::{Ipv6Addr, SocketAddr, TcpListener};

use codex_test_support::{Client, MockUpstream, Reply};

use crate::custody::{is_root, skipped};
use crate::{RESPONSES, ask, in_front_of};

#[test]
fn localhost_is_the_same_port_on_both_addresses() {
    let Ok(taken) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return skipped("there is no [::1]");
    };
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    let at = SocketAddr::from((Ipv6Addr::LOCALHOST, proxy.port()));
    let answer = Client::connect(at).post(RESPONSES, &[], "{}").read_answer();
    assert_eq!(answer.status, 200);
    assert!(TcpListener::bind(at).is_err());
    let stderr = proxy.wait_for_stderr("process: ");
    assert!(!stderr.contains("warning: [::1]"), "{stderr}");

    let port = taken.local_addr().unwrap().port();
    let beside = in_front_of(&upstream).port(port).start();
    assert_eq!(ask(&beside).status, 200);
    beside.wait_for_stderr(&format!("warning: [::1]:{port} cannot be listened on"));
}

#[test]
fn a_caller_by_ipv6_is_identified_too() {
    if !is_root() {
        return skipped("only root is not the user that may call");
    }
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_err() {
        return skipped("there is no [::1]");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for (user, status) in [("4711", 403), ("root", 200)] {
        let proxy = in_front_of(&upstream).args(["--allow-user", user]).start();
        let at = SocketAddr::from((Ipv6Addr::LOCALHOST, proxy.port()));
        let answer = Client::connect(at).post(RESPONSES, &[], "{}").read_answer();
        assert_eq!(answer.status, status);
    }
}
