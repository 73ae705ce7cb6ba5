//! Which server info is used, and which is refused.

#[cfg(target_os = "linux")]
use codex_test_support::Reply;
use codex_test_support::{MockUpstream, skipped};

use crate::proxy::upstream;
#[cfg(target_os = "linux")]
use crate::proxy::{assert_asked, in_front_of};
use crate::{assert_ended, codex};

/// A server info that leads to `upstream`, in a directory where everybody makes files.
fn made_beforehand(upstream: &MockUpstream) -> (tempfile::TempDir, std::path::PathBuf) {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o1777)).unwrap();
    let info = dir.path().join("info.json");
    let port = upstream.addr().port();
    // We are there, and the upstream listens as our user.
    let pid = std::process::id();
    std::fs::write(&info, format!("{{\"port\":{port},\"pid\":{pid}}}\n")).unwrap();
    std::fs::set_permissions(&info, std::fs::Permissions::from_mode(0o644)).unwrap();
    (dir, info)
}

#[track_caller]
fn assert_not_used(info: &std::path::Path, says: &str) {
    let info = info.to_str().unwrap();
    let output = codex(&["exec", "--server-info", info, "hi"]).run();
    assert_ended(&output, 1, "");
    let begins = format!("the server info {info} is not used: ");
    assert!(
        output.stderr.contains(&begins) && output.stderr.contains(says),
        "{}",
        output.stderr
    );
    let by_variable = codex(&["exec", "hi"]).env("CODEX_PROXY_SERVER_INFO", info);
    assert_ended(&by_variable.run(), 1, "");
}

#[test]
fn a_server_info_of_another_user_is_not_used() {
    use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

    let upstream = upstream();
    let (dir, info) = made_beforehand(&upstream);
    std::fs::set_permissions(&info, std::fs::Permissions::from_mode(0o666)).unwrap();
    assert_not_used(&info, "every user of this host can write it");
    std::fs::set_permissions(&info, std::fs::Permissions::from_mode(0o644)).unwrap();
    let planted = dir.path().join("planted");
    symlink(&info, &planted).unwrap();
    if lchown(&planted, Some(65534), None).is_err() {
        return skipped("needs root");
    }
    assert_not_used(&planted, "a symbolic link of user 65534");
    chown(&info, Some(65534), None).unwrap();
    assert_not_used(&info, "it belongs to user 65534");
    assert_eq!(upstream.connections(), 0);
}

#[test]
fn a_server_info_of_the_directory_s_owner_or_of_root_is_used() {
    use std::os::unix::fs::{PermissionsExt, chown};

    let upstream = upstream();
    let (dir, info) = made_beforehand(&upstream);
    // The reader's own, by a link of theirs.
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&info, &link).unwrap();
    let run = codex(&["exec", "--server-info", link.to_str().unwrap(), "hi"]);
    assert_ended(&run.run(), 0, "by the proxy");
    // As codex-action leaves it: given to root and read-only, in the directory of another user.
    std::fs::set_permissions(&info, std::fs::Permissions::from_mode(0o444)).unwrap();
    let run = codex(&["exec", "--server-info", info.to_str().unwrap(), "hi"]);
    if chown(dir.path(), Some(65534), None).is_ok() {
        assert_ended(&run.run(), 0, "by the proxy");
        chown(&info, Some(65534), None).unwrap();
    }
    assert_ended(&run.run(), 0, "by the proxy");
}

#[test]
fn a_server_info_that_is_not_a_small_regular_file_is_refused_without_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    let made = std::process::Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    for path in [&fifo, std::path::Path::new("/dev/zero"), dir.path()] {
        assert_not_used(path, "it is not a regular file");
    }
    let long = dir.path().join("long");
    let content = format!("{{\"port\":1,\"pid\":1}}{}", " ".repeat(64 * 1024));
    std::fs::write(&long, content).unwrap();
    assert_not_used(&long, "it is longer than 65536 bytes");
}

/// The proxy is killed, so that its file stays, and another process listens on its port.
#[cfg(target_os = "linux")]
#[test]
fn a_server_info_whose_proxy_was_killed_is_not_used() {
    let upstream = upstream();
    let mut proxy = in_front_of(&upstream)
        .arg("--require-client-token")
        .server_info()
        .start();
    let info = proxy.info_file();
    let run = codex(&["exec", "--server-info", info.to_str().unwrap(), "hi"]);
    assert_asked(&run, &upstream);
    proxy.signal(9);
    proxy.wait_exit();
    let says = format!("process {}, the proxy that wrote it, has gone", proxy.pid());
    assert_not_used(&info, &says);
    let other = MockUpstream::builder()
        .port(proxy.port())
        .script(Reply::responses("caught"))
        .start();
    assert_not_used(&info, &says);
    assert_eq!(other.connections(), 0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_unix_socket_of_a_proxy_that_was_killed_is_not_used() {
    let upstream = upstream();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("s");
    let info = directory.path().join("info.json");
    let mut proxy = in_front_of(&upstream)
        .args(["--listen", &format!("unix:{}", socket.display())])
        .args(["--server-info", info.to_str().unwrap()])
        .spawn();
    proxy.wait_for_stderr("listening on unix:");
    proxy.signal(9);
    proxy.wait_exit();
    std::fs::remove_file(&socket).unwrap();
    let other = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    other.set_nonblocking(true).unwrap();
    assert_not_used(&info, "has gone");
    assert!(other.accept().is_err(), "somebody connected");
}

/// A process of another user that listens until this is dropped.
#[cfg(target_os = "linux")]
struct OfAnotherUser(std::process::Child);

#[cfg(target_os = "linux")]
impl OfAnotherUser {
    /// On this port or Unix socket; `None` where that cannot be had.
    fn listen(address: &str) -> Option<Self> {
        use std::io::Read;

        let script = r#"
            use Socket qw(:all);
            my ($family, $at) = $ARGV[0] =~ m{^/} ? (AF_UNIX, pack_sockaddr_un($ARGV[0]))
                : (AF_INET, pack_sockaddr_in($ARGV[0], inet_aton("127.0.0.1")));
            socket(my $s, $family, SOCK_STREAM, 0) or die $!;
            setsockopt($s, SOL_SOCKET, SO_REUSEADDR, 1);
            bind($s, $at) or die $!;
            listen($s, 64) or die $!;
            syswrite(STDOUT, "listens\n");
            while (accept(my $c, $s)) {
                syswrite(STDOUT, "got: $text\n") if recv($c, my $text, 65536, 0) && length $text;
            }
        "#;
        let mut child = std::process::Command::new("setpriv")
            .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
            .args(["perl", "-e", script, address])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = [0; 8];
        let read = child.stdout.as_mut()?.read_exact(&mut line);
        let this = Self(child);
        (read.is_ok() && &line == b"listens\n").then_some(this)
    }

    /// What it got besides connections that were closed at once.
    fn received(mut self) -> String {
        use std::io::Read;

        self.0.kill().unwrap();
        let mut text = String::new();
        let mut stdout = self.0.stdout.take().unwrap();
        stdout.read_to_string(&mut text).unwrap();
        self.0.wait().unwrap();
        text
    }
}

#[cfg(target_os = "linux")]
impl Drop for OfAnotherUser {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The process id in the file is that of a running process: ours.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_of_another_user_gets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(directory.path(), Some(65534), None).ok();
    let info = directory.path().join("info.json");
    let socket = directory.path().join("s");
    let free = codex_test_support::RefusedPort::new().addr().port();
    let pid = std::process::id();
    for (address, content) in [
        (
            free.to_string(),
            format!("{{\"port\":{free},\"pid\":{pid}}}"),
        ),
        (
            socket.display().to_string(),
            format!("{{\"socket\":\"{}\",\"pid\":{pid}}}", socket.display()),
        ),
    ] {
        std::fs::write(&info, content).unwrap();
        assert_not_used(&info, "nobody listens on");
        let Some(other) = OfAnotherUser::listen(&address) else {
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                b"skipped: needs root, setpriv and perl\n",
            );
            return;
        };
        assert_not_used(&info, "belongs to user 65534");
        assert_eq!(other.received(), "");
    }
}

/// The process id of a proxy that has ended belongs to another user's process by now, which listens on its port.
#[cfg(target_os = "linux")]
#[test]
fn a_listener_that_has_the_process_id_of_the_proxy_by_now_gets_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let info = directory.path().join("info.json");
    let free = codex_test_support::RefusedPort::new().addr().port();
    let Some(other) = OfAnotherUser::listen(&free.to_string()) else {
        let _ = std::io::Write::write_all(
            &mut std::io::stderr(),
            b"skipped: needs root, setpriv and perl\n",
        );
        return;
    };
    std::fs::write(
        &info,
        format!("{{\"port\":{free},\"pid\":{}}}", other.0.id()),
    )
    .unwrap();
    let file = std::fs::File::open(&info).unwrap();
    let hour = std::time::Duration::from_secs(3600);
    file.set_modified(std::time::SystemTime::now() - hour)
        .unwrap();
    assert_not_used(&info, "is younger than the file");
    assert_eq!(other.received(), "");
}
