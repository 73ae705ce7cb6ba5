//! The file that records are appended to: rotated, full, not read, somebody else's.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::Path;
use std::process::Command;
use std::thread;

use codex_test_support::{MockUpstream, Reply, TEST_KEY, run_to_exit};
use serde_json::Value;

use crate::records::{final_event, logged, records};
use crate::{PROXY, RESPONSES, in_front_of};

/// SIGHUP, SIGTERM (signal(7)).
const HUP: i32 = 1;
const TERM: i32 = 15;

fn upstream() -> MockUpstream {
    MockUpstream::h1(Reply::event_stream().data(final_event("response.completed", 3, 2)))
}

fn ids(records: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> = records.iter().map(|one| one["id"].to_string()).collect();
    ids.sort();
    ids.dedup();
    ids
}

#[test]
fn a_log_is_rotated_by_a_rename_and_a_signal_and_no_line_is_lost_or_cut() {
    let upstream = upstream();
    let mut logged = logged(in_front_of(&upstream));
    let old = logged.log.with_extension("1");
    let mut client = logged.proxy.client();
    for number in 0..40 {
        if number == 20 {
            logged.records(20);
            fs::rename(&logged.log, &old).unwrap();
            logged.proxy.signal(HUP);
        }
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
    drop(client);
    logged.proxy.signal(TERM);
    assert_eq!(logged.proxy.wait_exit().code(), Some(0));
    let count = |path: &Path| fs::read_to_string(path).unwrap().lines().count();
    let (before, after) = (count(&old), count(&logged.log));
    assert!(
        before >= 20 && after > 0 && before + after == 40,
        "{before} {after}"
    );
    let all = [records(&old, before), records(&logged.log, after)].concat();
    assert_eq!(ids(&all).len(), 40);
    let mode = fs::metadata(&logged.log).unwrap().permissions().mode();
    assert_eq!(mode & 0o137, 0, "{mode:o}");
}

#[test]
fn a_thousand_signals_cost_no_request_and_no_record() {
    let upstream = upstream();
    let mut logged = logged(in_front_of(&upstream));
    let asked = thread::scope(|scope| {
        let signals = scope.spawn(|| (0..1000).for_each(|_| logged.proxy.signal(HUP)));
        let mut client = logged.proxy.client();
        let mut asked = 0;
        while !signals.is_finished() {
            assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
            asked += 1;
        }
        asked
    });
    assert_eq!(ids(&logged.all()).len(), asked);
}

#[test]
fn a_log_that_was_removed_is_made_anew_by_the_signal() {
    let upstream = upstream();
    let logged = logged(in_front_of(&upstream));
    fs::remove_file(&logged.log).unwrap();
    let ask = || {
        logged
            .proxy
            .client()
            .post(RESPONSES, &[], "{}")
            .read_answer()
    };
    assert_eq!(ask().status, 200);
    assert!(!logged.log.exists());
    logged.proxy.signal(HUP);
    while !logged.log.exists() {
        assert_eq!(ask().status, 200);
    }
    assert_eq!(ask().status, 200);
    while fs::read_to_string(&logged.log).unwrap().is_empty() {
        thread::yield_now();
    }
}

#[test]
fn a_full_disk_costs_no_answer_and_what_is_lost_is_counted() {
    if !rustix::process::geteuid().is_root() {
        return codex_test_support::skipped("only root can mount a small file system");
    }
    let dir = tempfile::tempdir().unwrap();
    let mount = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=16k", "none"])
        .arg(dir.path())
        .status();
    if !mount.is_ok_and(|status| status.success()) {
        return codex_test_support::skipped("a small file system cannot be mounted here");
    }
    let upstream = upstream();
    let log = dir.path().join("access.log");
    let mut proxy = in_front_of(&upstream).arg("--access-log").arg(&log).start();
    let mut client = proxy.client();
    for _ in 0..100 {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
    proxy.wait_for_stderr("--access-log: lines are waiting: No space left on device");
    // Somebody makes room, and asks for a new file.
    let old = log.with_extension("1");
    fs::rename(&log, &old).unwrap();
    let kept = fs::read_to_string(&old).unwrap();
    fs::remove_file(&old).unwrap();
    let grown = Command::new("mount")
        .args(["-o", "remount,size=1m"])
        .arg(dir.path())
        .status();
    assert!(grown.unwrap().success());
    proxy.signal(HUP);
    assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    drop(client);
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    // What was cut off in the old file is whole in the new one.
    let whole = kept.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let before = whole.lines().count();
    let after = records(&log, 101 - before);
    assert!(before > 0 && !after.is_empty());
    drop(proxy);
    let unmounted = Command::new("umount").arg(dir.path()).status();
    assert!(unmounted.unwrap().success());
}

#[test]
fn a_fifo_that_nobody_reads_costs_no_answer_and_what_it_lacks_is_counted() {
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let fifo = dir.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status();
    assert!(made.unwrap().success());
    // What is written stays in it while somebody has it open.
    let mut reader = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(&fifo)
        .unwrap();
    let mut proxy = in_front_of(&upstream)
        .arg("--access-log")
        .arg(&fifo)
        .start();
    let mut client = proxy.client();
    for _ in 0..400 {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
    proxy.wait_for_stderr("--access-log: lines are waiting");
    drop(client);
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    let (before, _) = said.split_once(" lines dropped: ").unwrap();
    let (_, dropped) = before.rsplit_once("--access-log: ").unwrap();
    let dropped: usize = dropped.parse().unwrap();
    let mut written = String::new();
    reader.read_to_string(&mut written).unwrap();
    assert_eq!(written.matches('\n').count() + dropped, 400, "{said}");
}

#[test]
fn what_somebody_else_chose_is_not_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["file", "foreign", "open"] {
        fs::write(path(name), "before\n").unwrap();
    }
    symlink(path("file"), path("link")).unwrap();
    fs::set_permissions(path("open"), fs::Permissions::from_mode(0o660)).unwrap();
    let is_root = chown(path("foreign"), Some(65534), None).is_ok();
    for (name, why) in [
        ("link", "is a symbolic link"),
        ("open", "has the mode 660"),
        ("no/file", "cannot be appended to"),
        ("foreign", "belongs to user 65534"),
    ] {
        if name == "foreign" && !is_root {
            continue;
        }
        let named = path(name);
        let output = run_to_exit(
            PROXY,
            &["--access-log", named.to_str().unwrap()],
            &[],
            TEST_KEY.as_bytes(),
        );
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("--access-log"), "{}", output.stderr);
        assert!(output.stderr.contains(why), "{}", output.stderr);
    }
    assert_eq!(fs::read_to_string(path("file")).unwrap(), "before\n");
}

#[test]
fn with_json_all_lines_but_the_ready_line_are_objects() {
    let upstream = upstream();
    let mut proxy = in_front_of(&upstream)
        .args(["--log-format", "json"])
        .start();
    assert_eq!(
        proxy
            .client()
            .post(RESPONSES, &[], "{}")
            .read_answer()
            .status,
        200
    );
    proxy.wait_for_stderr("\"outcome\":\"complete\"");
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    let mut lines = said.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("responses-api-proxy listening on ")
    );
    for line in lines {
        let object: Value = serde_json::from_str(line).unwrap();
        assert_eq!(object["v"], 1);
        assert!(
            object["message"].is_string() || object["outcome"].is_string(),
            "{line}"
        );
    }
}

/// As under `LimitFSIZE=` of systemd.exec(5).
#[test]
fn a_file_that_may_not_grow_is_an_error_and_not_the_end() {
    let upstream = upstream();
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("access.log");
    let mut proxy = in_front_of(&upstream)
        .under(["prlimit", "--fsize=4096"])
        .arg("--access-log")
        .arg(&log)
        .start();
    let mut client = proxy.client();
    for _ in 0..50 {
        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
    }
    proxy.wait_for_stderr("--access-log: lines are waiting: File too large");
    drop(client);
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn what_a_caller_wrote_into_a_path_is_in_no_log() {
    let upstream = upstream();
    let logged = logged(in_front_of(&upstream).args(["--log-format", "json"]));
    let answer = logged
        .proxy
        .client()
        .get("/v1/models?api_key=sesame")
        .read_answer();
    assert!(answer.text().contains("sesame"));
    let record = logged.records(1).remove(0);
    assert_eq!(record["code"], "path_not_allowed");
    logged.proxy.wait_for_stderr("path_not_allowed");
    assert!(!record.to_string().contains("sesame"));
    assert!(!logged.proxy.stderr_so_far().contains("sesame"));
}

/// Those who may not call are not to fill the disk of those who may.
#[test]
fn a_flood_of_heads_that_cannot_be_read_is_counted_and_not_written_out() {
    let upstream = upstream();
    let logged = logged(in_front_of(&upstream));
    for _ in 0..400 {
        let answer = logged
            .proxy
            .client()
            .send("GET / HTTP/9\r\n\r\n")
            .read_answer();
        assert_eq!(answer.status, 400);
    }
    let proxy = &logged.proxy;
    assert_eq!(
        proxy
            .client()
            .post(RESPONSES, &[], "{}")
            .read_answer()
            .status,
        200
    );
    let said = proxy.wait_for_stderr(" refusals were not logged: ");
    let line = said
        .lines()
        .find(|line| line.contains(" refusals were not logged: "));
    let counted: usize = line.unwrap().split(' ').next().unwrap().parse().unwrap();
    assert!((1..400).contains(&counted), "{counted}");
}
