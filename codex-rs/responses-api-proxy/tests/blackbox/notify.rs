//! What a service manager is told (sd_notify(3)), from inside the sandbox.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::Duration;

use codex_test_support::{
    Gate, MockUpstream, Proxy, ProxyBuilder, Reply, Stdin, TEST_KEY, WAIT_TIMEOUT, assert_no_key,
};

use crate::custody::strictest_sandbox;
use crate::lifecycle::signal;
use crate::{PROXY, ask, begin, in_front_of};

struct Manager {
    socket: UnixDatagram,
    path: PathBuf,
    _dir: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
        // Whatever user the proxy becomes.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        Self {
            socket,
            path,
            _dir: dir,
        }
    }

    fn told_by(&self, builder: ProxyBuilder) -> ProxyBuilder {
        builder.env("NOTIFY_SOCKET", &self.path)
    }

    #[track_caller]
    fn next(&self) -> String {
        let mut room = [0; 4096];
        let length = self.socket.recv(&mut room).unwrap();
        assert_no_key(&room[..length], "a datagram to the service manager");
        String::from_utf8(room[..length].to_vec()).unwrap()
    }

    /// The next one that begins so.
    #[track_caller]
    fn wait_for(&self, begins: &str) -> String {
        loop {
            let told = self.next();
            if told.starts_with(begins) {
                return told;
            }
        }
    }
}

#[test]
fn it_is_told_of_the_beginning_requests_a_reload_and_the_end() {
    let manager = Manager::new();
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data("data: 1\n\n")
            .hold(&gate)
            .data("data: 2\n\n"),
    );
    let builder = in_front_of(&upstream).args(["--sandbox", strictest_sandbox()]);
    let mut proxy = manager.told_by(builder).start();
    let place = format!("STATUS=listening on {}", proxy.addr());
    assert_eq!(manager.next(), place);
    assert_eq!(manager.next(), "READY=1");
    let mut streaming = begin(&proxy);
    let one = format!("{place}; requests in flight: 1");
    assert_eq!(manager.wait_for(&one), one);
    proxy.signal(signal("HUP"));
    let reloading = manager.wait_for("RELOADING=1\n");
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    manager.wait_for("READY=1");
    proxy.signal(signal("TERM"));
    assert_eq!(
        manager.wait_for("STOPPING=1"),
        "STOPPING=1\nEXTEND_TIMEOUT_USEC=20000000"
    );
    assert_eq!(
        manager.wait_for("STATUS="),
        "STATUS=ending; requests in flight: 1"
    );
    gate.release();
    streaming.wait_for_body("data: 2");
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn the_watchdog_hears_of_it_while_threads_turn() {
    let manager = Manager::new();
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let builder = in_front_of(&upstream)
        .args(["--threads", "3", "--sandbox", strictest_sandbox()])
        .env("WATCHDOG_USEC", "100000");
    let proxy = manager.told_by(builder).start();
    for _ in 0..5 {
        manager.wait_for("WATCHDOG=1");
    }
    assert_eq!(ask(&proxy).status, 200);
    proxy.signal(signal("STOP"));
    manager.socket.set_nonblocking(true).unwrap();
    while manager.socket.recv(&mut [0; 4096]).is_ok() {}
    manager.socket.set_nonblocking(false).unwrap();
    let silent = Some(Duration::from_millis(400));
    manager.socket.set_read_timeout(silent).unwrap();
    assert!(
        manager.socket.recv(&mut [0; 4096]).is_err(),
        "it is stopped"
    );
    manager.socket.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    proxy.signal(signal("CONT"));
    manager.wait_for("WATCHDOG=1");
}

#[test]
fn a_manager_with_a_name_and_no_file_is_told_too() {
    use std::os::linux::net::SocketAddrExt;

    let name = format!("codex-notify-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let manager = UnixDatagram::bind_addr(&address).unwrap();
    manager.set_read_timeout(Some(WAIT_TIMEOUT)).unwrap();
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = in_front_of(&upstream)
        .args(["--sandbox", strictest_sandbox()])
        .env("NOTIFY_SOCKET", format!("@{name}"))
        .start();
    let wait_for = |state: &str| {
        let mut room = [0; 4096];
        loop {
            let length = manager.recv(&mut room).unwrap();
            if room[..length].starts_with(state.as_bytes()) {
                return;
            }
        }
    };
    wait_for("READY=1");
    // In the sandbox too, where no other such socket can be reached.
    proxy.signal(signal("TERM"));
    wait_for("STOPPING=1");
}

#[test]
fn a_manager_that_cannot_be_reached_is_an_error_before_the_key_is_read() {
    for (name, value, says) in [
        (
            "NOTIFY_SOCKET",
            "/nowhere/notify",
            "NOTIFY_SOCKET cannot be reached",
        ),
        (
            "NOTIFY_SOCKET",
            "notify",
            "NOTIFY_SOCKET is neither an absolute path",
        ),
        ("WATCHDOG_USEC", "soon", "WATCHDOG_USEC is not a number"),
    ] {
        let mut proxy = Proxy::builder(PROXY)
            .args(["--upstream-url", "http://127.0.0.1:1/v1/responses"])
            .env(name, value)
            .stdin(Stdin::BytesThenOpen(Vec::new()))
            .spawn();
        assert_eq!(proxy.wait_exit().code(), Some(1), "{name}={value}");
        assert!(
            proxy.stderr_so_far().contains(says),
            "{}",
            proxy.stderr_so_far()
        );
    }
}

#[test]
fn programs_that_the_proxy_starts_are_told_of_no_manager() {
    let manager = Manager::new();
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    fs::write(&key, TEST_KEY).unwrap();
    let all = "$NOTIFY_SOCKET$WATCHDOG_USEC$WATCHDOG_PID$LISTEN_FDS$LISTEN_PID$LISTEN_FDNAMES$LISTEN_PIDFDID";
    let command = format!("test -z \"{all}\" && cat {}", key.display());
    let builder = in_front_of(&upstream)
        .args(["--key-command", &command])
        .stdin(Stdin::Empty)
        .env("WATCHDOG_USEC", "60000000")
        .env("WATCHDOG_PID", "1")
        .env("LISTEN_FDS", "1")
        .env("LISTEN_PID", "1")
        .env("LISTEN_FDNAMES", "x")
        .env("LISTEN_PIDFDID", "1");
    let proxy = manager.told_by(builder).start();
    manager.wait_for("READY=1");
    assert_eq!(ask(&proxy).status, 200);
}
