//! The file for whoever waits.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use codex_test_support::{Client, MockUpstream, Proxy, Reply, TEST_KEY, run_to_exit};

use crate::{PROXY, RESPONSES, ask, in_front_of};

fn refused(args: &[&str]) -> String {
    let output = run_to_exit(PROXY, args, &[], TEST_KEY.as_bytes());
    assert_eq!((output.code, output.stdout.as_str()), (Some(1), ""));
    output.stderr
}

#[test]
fn it_names_a_port_that_already_accepts_and_goes_away_at_the_end() {
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
fn it_accepts_before_the_file_says_so() {
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
fn a_file_that_somebody_took_over_is_left() {
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
fn a_file_that_holds_something_else_is_kept_however_the_path_leads_to_it() {
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
fn a_device_will_do() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy: Proxy = in_front_of(&upstream)
        .args(["--server-info", "/dev/null"])
        .start();
    assert_eq!(ask(&proxy).status, 200);
}
