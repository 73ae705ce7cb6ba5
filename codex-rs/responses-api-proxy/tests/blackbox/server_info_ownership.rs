//! Whose file and whose directory `--server-info` may name.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};

use codex_test_support::{MockUpstream, Proxy, Reply};

use crate::custody::{copy_of, is_root, open_to_all, skipped};
use crate::in_front_of;
use crate::server_info::{make_fifo, refused, refused_file};

/// A user who is neither us nor root.
const OTHER_USER: u32 = 65534;

#[test]
fn a_file_of_another_user_is_refused_and_left_unchanged() {
    if !is_root() {
        return skipped("only root can give a file away");
    }
    // As /tmp is: everybody makes files there.
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let file = dir.path().join("info.json");
    for content in ["", "{\"port\":1,\"pid\":1}\n"] {
        fs::write(&file, content).unwrap();
        chown(&file, Some(OTHER_USER), None).unwrap();
        let stderr = refused_file(&file);
        assert!(stderr.contains("belongs to user 65534"), "{stderr}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    let private = ["--require-client-token", "--server-info"];
    let stderr = refused(&[&private[..], &[file.to_str().unwrap()]].concat());
    assert!(stderr.contains("belongs to user 65534"), "{stderr}");
    let fifo = dir.path().join("fifo");
    make_fifo(&fifo);
    chown(&fifo, Some(OTHER_USER), None).unwrap();
    // Its reader is there, to know the port and to be the one who is asked for it.
    let _reader = fs::OpenOptions::new().read(true).write(true).open(&fifo);
    let stderr = refused_file(&fifo);
    assert!(stderr.contains("belongs to user 65534"), "{stderr}");
}

#[test]
fn a_file_in_the_directory_of_its_owner_is_used_with_a_warning() {
    if !is_root() {
        return skipped("only root can give a file away");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.json");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    for path in [&file, dir.path()] {
        chown(path, Some(OTHER_USER), None).unwrap();
    }
    let mut proxy = in_front_of(&upstream)
        .arg("--server-info")
        .arg(&file)
        .start();
    proxy.wait_for_stderr("warning: user 65534 can put another file in the place of");
    assert!(fs::read_to_string(&file).unwrap().contains("\"port\""));
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    // A file of the user who became root by sudo is used without a warning.
    fs::write(&file, "").unwrap();
    chown(dir.path(), Some(0), None).unwrap();
    chown(&file, Some(OTHER_USER), None).unwrap();
    let by_sudo = in_front_of(&upstream)
        .env("SUDO_UID", "65534")
        .arg("--server-info")
        .arg(&file)
        .start();
    let banner = by_sudo.wait_for_stderr("process: ");
    assert!(!banner.contains("warning"), "{banner}");
}

#[test]
fn a_start_that_fails_leaves_no_file_and_no_change() {
    if !is_root() {
        return skipped("only root can start it as another user");
    }
    let root_dir = tempfile::tempdir().unwrap();
    open_to_all(root_dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", root_dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let stale = "{\"port\":1,\"pid\":2}\n";
    let dir = tempfile::tempdir().unwrap();
    let [new, found] = ["new.json", "found.json"].map(|name| dir.path().join(name));
    fs::write(&found, stale).unwrap();
    for path in [&found, dir.path()] {
        chown(path, Some(OTHER_USER), None).unwrap();
    }
    for file in [&new, &found] {
        // It fails when all files are open: the user `nobody` cannot become root.
        let mut failed = Proxy::builder(&binary)
            .under([
                "setpriv",
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
            ])
            .args(["--upstream-url", "http://127.0.0.1:9/", "--user", "root"])
            .arg("--server-info")
            .arg(file)
            .spawn();
        assert_eq!(failed.wait_exit().code(), Some(1));
        let stderr = failed.stderr_so_far();
        assert!(stderr.contains("cannot become the user root"), "{stderr}");
    }
    assert!(!new.exists());
    assert_eq!(fs::read_to_string(&found).unwrap(), stale);
}

#[test]
fn a_link_of_another_user_to_a_directory_is_not_followed() {
    if !is_root() {
        return skipped("only root can give a link away");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("real")).unwrap();
    symlink("real", at("planted")).unwrap();
    lchown(at("planted"), Some(OTHER_USER), None).unwrap();
    for below in ["planted/info.json", "planted/made/for/info.json"] {
        let stderr = refused_file(&at(below));
        assert!(stderr.contains("a symbolic link of user 65534"), "{stderr}");
    }
    assert!(fs::read_dir(at("real")).unwrap().next().is_none());
    let listen = format!("unix:{}", at("planted/s").display());
    let stderr = refused(&["--listen", &listen]);
    assert!(stderr.contains("a symbolic link of user 65534"), "{stderr}");
    assert!(fs::read_dir(at("real")).unwrap().next().is_none());
    // Our own is.
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    symlink("real", at("ours")).unwrap();
    let _proxy = in_front_of(&upstream)
        .arg("--server-info")
        .arg(at("ours/info.json"))
        .start();
    assert!(at("real/info.json").exists());
}

/// Root alone may write the directory, and at the end there is no root any more.
#[test]
fn a_file_that_the_user_cannot_remove_is_emptied_at_the_end() {
    if !is_root() {
        return skipped("only root can become another user");
    }
    let root_dir = tempfile::tempdir().unwrap();
    open_to_all(root_dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", root_dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let (info, socket) = (root_dir.path().join("info.json"), root_dir.path().join("s"));
    let at_socket = format!("unix:{}", socket.display());
    // The second one finds what the first one left behind.
    for _ in 0..2 {
        let mut proxy = codex_test_support::Proxy::builder(&binary)
            .upstream(&upstream)
            .args([
                "--user",
                "nobody",
                "--port",
                "0",
                "--listen",
                &at_socket,
                "--server-info",
            ])
            .arg(&info)
            .start();
        let banner = proxy.wait_for_stderr("process: ");
        for what in [at_socket.as_str(), info.to_str().unwrap()] {
            assert!(banner.contains(&format!("hint: {what} ")), "{banner}");
        }
        assert!(fs::read_to_string(&info).unwrap().contains("\"port\""));
        proxy.signal(crate::lifecycle::signal("TERM"));
        assert_eq!(proxy.wait_exit().code(), Some(0));
        assert_eq!(fs::read_to_string(&info).unwrap(), "");
        let left = std::os::unix::net::UnixStream::connect(&socket).unwrap_err();
        assert_eq!(left.kind(), std::io::ErrorKind::ConnectionRefused);
    }
    // In a directory of that user's own both are removed, and nothing is said.
    let own = root_dir.path().join("own");
    fs::create_dir(&own).unwrap();
    std::os::unix::fs::chown(&own, Some(65534), None).unwrap();
    let (info, socket) = (own.join("info.json"), own.join("s"));
    let at_socket = format!("unix:{}", socket.display());
    let mut proxy = codex_test_support::Proxy::builder(&binary)
        .upstream(&upstream)
        .args([
            "--user",
            "nobody",
            "--port",
            "0",
            "--listen",
            &at_socket,
            "--server-info",
        ])
        .arg(&info)
        .start();
    assert!(!proxy.wait_for_stderr("process: ").contains("hint: "));
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!info.exists() && !socket.exists());
}
