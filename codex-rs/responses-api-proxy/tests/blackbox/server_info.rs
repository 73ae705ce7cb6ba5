//! The file of `--server-info`: what is written where, and when it is removed.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use codex_test_support::{Client, MockUpstream, Proxy, Reply, TEST_KEY, run_to_exit};

use crate::custody::{is_root, skipped};
use crate::{PROXY, RESPONSES, ask, in_front_of};

/// A start with this file, which is refused.
pub(crate) fn refused_file(path: &Path) -> String {
    let stderr = refused(&["--server-info", path.to_str().unwrap()]);
    assert!(
        stderr.starts_with(&format!("Error: --server-info {} ", path.display())),
        "{stderr}"
    );
    stderr
}

pub(crate) fn refused(args: &[&str]) -> String {
    let output = run_to_exit(PROXY, args, &[], TEST_KEY.as_bytes());
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    output.stderr
}

#[test]
fn the_file_names_the_port_and_is_removed_at_the_end() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream).server_info().start();
    let written = fs::read_to_string(proxy.info_file()).unwrap();
    assert_eq!(
        written,
        format!("{{\"port\":{},\"pid\":{}}}\n", proxy.port(), proxy.pid())
    );
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!proxy.info_file().exists());
}

#[test]
fn the_port_accepts_before_the_file_is_written() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    // A FIFO: our read returns the moment the line is written, not a poll later.
    let fifo = dir.path().join("info");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let _proxy = in_front_of(&upstream)
        .arg("--server-info")
        .arg(&fifo)
        .spawn();
    let line: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(&fifo).unwrap()).unwrap();
    let port = u16::try_from(line["port"].as_u64().unwrap()).unwrap();
    let mut client = Client::connect(([127, 0, 0, 1], port).into());
    assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
}

#[test]
fn a_file_made_beforehand_is_written_in_place() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("run.json");
    fs::write(&file, "").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    let mut proxy = in_front_of(&upstream)
        .arg("--server-info")
        .arg(&file)
        .start();
    assert!(fs::read_to_string(&file).unwrap().contains("\"port\""));
    assert_eq!(
        fs::metadata(&file).unwrap().permissions().mode() & 0o777,
        0o666
    );
    proxy.signal(crate::lifecycle::signal("INT"));
    proxy.wait_exit();
    assert!(!file.exists());
}

#[test]
fn a_file_that_was_overwritten_is_not_removed() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream).server_info().start();
    fs::write(proxy.info_file(), "{\"port\":1,\"pid\":1}\n").unwrap();
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(proxy.info_file().exists());
}

#[test]
fn links_and_directories_are_refused_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("precious");
    fs::write(&precious, "precious").unwrap();
    let soft = dir.path().join("soft");
    symlink(&precious, &soft).unwrap();
    let hard = dir.path().join("hard");
    fs::hard_link(&precious, &hard).unwrap();
    let dangling = dir.path().join("dangling");
    symlink(dir.path().join("nowhere"), &dangling).unwrap();
    for (path, why) in [
        (&soft, "symbolic link"),
        (&dangling, "symbolic link"),
        (&hard, "hard link"),
    ] {
        let stderr = refused(&["--server-info", path.to_str().unwrap()]);
        assert!(
            stderr.starts_with("Error: --server-info ") && stderr.contains(why),
            "{stderr}"
        );
    }
    let stderr = refused(&["--server-info", dir.path().to_str().unwrap()]);
    assert!(stderr.contains("Is a directory"), "{stderr}");
    let stderr = refused(&["--server-info", "/dev/full"]);
    assert!(stderr.contains("No space left"), "{stderr}");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    assert!(!dir.path().join("nowhere").exists());
}

#[test]
fn a_file_with_other_content_is_not_overwritten_through_a_link_either() {
    let dir = tempfile::tempdir().unwrap();
    let precious = dir.path().join("real");
    fs::create_dir(&precious).unwrap();
    fs::write(precious.join("shadow"), "precious").unwrap();
    symlink(&precious, dir.path().join("swapped")).unwrap();
    let path = dir.path().join("swapped/shadow");
    let stderr = refused(&["--server-info", path.to_str().unwrap()]);
    assert!(stderr.contains("holds something else"), "{stderr}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_device_is_accepted() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy: Proxy = in_front_of(&upstream)
        .args(["--server-info", "/dev/null"])
        .start();
    assert_eq!(ask(&proxy).status, 200);
}

#[test]
fn json_that_is_not_a_server_info_is_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.json");
    let long = format!("{{\"port\":1,\"pid\":2}}{}", " ".repeat(64 * 1024));
    for content in [
        "{\"password\":\"precious\"}",
        "{\"port\":1,\"pid\":2,\"precious\":3}",
        "{\"port\":1,\"pid\":2}\nprecious\n",
        "{\"port\":1}",
        "{\"pid\":1}",
        "[1,2]",
        "{\"p",
        &long,
    ] {
        fs::write(&file, content).unwrap();
        let stderr = refused_file(&file);
        assert!(stderr.contains("holds something else"), "{stderr}");
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
    }
    // What a proxy left behind when it was killed makes way.
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    for stale in [
        "{\"port\":1,\"pid\":2}\n",
        "{\"pid\":2,\"socket\":\"/run/s\",\"client_token\":\"x\"}\n",
    ] {
        fs::write(&file, stale).unwrap();
        let proxy = in_front_of(&upstream)
            .arg("--server-info")
            .arg(&file)
            .start();
        let written = fs::read_to_string(&file).unwrap();
        let expected = format!("{{\"port\":{},\"pid\":{}}}\n", proxy.port(), proxy.pid());
        assert_eq!(written, expected);
    }
}

pub(crate) fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_fifo_without_a_reader_does_not_hang_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    make_fifo(&fifo);
    let stderr = refused_file(&fifo);
    assert!(stderr.contains("a FIFO that nobody reads"), "{stderr}");
    assert!(fifo.exists());
}

#[test]
fn a_full_disk_leaves_nothing_behind() {
    if !is_root() {
        return skipped("only root can mount a small disk");
    }
    // In a mount namespace of its own, which ends with the shell.
    let script = r#"
        mount -t tmpfs -o size=64k none "$1" 2>/dev/null || exit 77
        cat /dev/zero >"$1/rest" 2>/dev/null
        echo key | "$0" --port 0 --server-info "$1/info.json"
        echo "exit $?" >&2
        ls "$1" >&2
        # One that was there beforehand, as codex-action has it.
        >"$1/before.json"
        echo key | "$0" --port 0 --server-info "$1/before.json"
        wc -c "$1/before.json" >&2
    "#;
    let dir = tempfile::tempdir().unwrap();
    let mount_point = dir.path().to_str().unwrap();
    let args = ["--mount", "sh", "-c", script, PROXY, mount_point];
    let output = run_to_exit("unshare", &args, &[], b"");
    if output.code == Some(77) || output.stderr.starts_with("unshare") {
        return skipped("no file system can be mounted here");
    }
    let stderr = output.stderr;
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert!(stderr.contains("exit 1\nrest\n"), "{stderr}");
    assert!(
        stderr.contains(&format!("0 {mount_point}/before.json")),
        "{stderr}"
    );
}

#[test]
fn new_files_and_directories_are_not_writable_by_others_whatever_the_umask() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("made/info.json");
    let _proxy = in_front_of(&upstream)
        .under(["sh", "-c", r#"umask 0; exec "$0" "$@""#])
        .arg("--server-info")
        .arg(&file)
        .start();
    for path in [&file, file.parent().unwrap()] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o022, 0, "{}: {mode:o}", path.display());
    }
}

#[test]
fn the_file_is_removed_although_its_directory_was_moved() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("first")).unwrap();
    let mut proxy = in_front_of(&upstream)
        .arg("--server-info")
        .arg(at("first/info.json"))
        .start();
    fs::rename(at("first"), at("moved")).unwrap();
    proxy.signal(crate::lifecycle::signal("TERM"));
    assert_eq!(proxy.wait_exit().code(), Some(0));
    assert!(!at("moved/info.json").exists());
}
