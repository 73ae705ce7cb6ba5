//! The directory of dumps: whose it may be, and how much is in it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use codex_test_support::{End, Gate, MockUpstream, Proxy, Reply, assert_no_key};
use serde_json::json;

use crate::custody::{copy_of, is_root, open_to_all, skipped};
use crate::dumps::{dir_of, dump, dumping, find, names, unfinished, wait_for};
use crate::lifecycle::signal;
use crate::{PROXY, RESPONSES, ask, in_front_of};

#[track_caller]
fn assert_refused(dir: &Path, why: &str) {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut proxy = in_front_of(&upstream).arg("--dump-dir").arg(dir).spawn();
    assert_eq!(proxy.wait_exit().code(), Some(1));
    let stderr = proxy.stderr_so_far();
    assert!(stderr.starts_with("Error: --dump-dir: "), "{stderr}");
    assert!(stderr.contains(why), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

#[test]
fn a_directory_that_others_could_use_is_refused_at_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("real")).unwrap();
    symlink("real", at("link")).unwrap();
    fs::write(at("file"), "").unwrap();
    assert_refused(&at("link"), "is a symbolic link");
    assert_refused(&at("file"), "is not a directory");
    assert_refused(&at("no/where"), "cannot be used");
    for (mode, shown) in [(0o770, "770"), (0o777, "777"), (0o1777, "1777")] {
        fs::set_permissions(at("real"), fs::Permissions::from_mode(mode)).unwrap();
        assert_refused(&at("real"), &format!("has the mode {shown}"));
    }
    fs::set_permissions(at("real"), fs::Permissions::from_mode(0o700)).unwrap();
    if !is_root() {
        return skipped("only root can make a directory of somebody else");
    }
    chown(at("real"), Some(1234), None).unwrap();
    assert_refused(&at("real"), "belongs to user 1234");
    std::os::unix::fs::lchown(at("link"), Some(1234), None).unwrap();
    chown(at("real"), Some(0), None).unwrap();
    assert_refused(&at("link/dumps"), "is a symbolic link of user 1234");
    assert_eq!(names(&at("real")), [] as [&str; 0]);
}

#[test]
fn two_proxies_do_not_dump_into_one_directory() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let first = dumping(&upstream).start();
    assert_refused(&dir_of(&first), "another proxy");
    drop(first);
}

#[test]
fn a_directory_that_is_swapped_while_it_runs_gets_nothing() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let proxy = dumping(&upstream).start();
    let (dir, moved) = (dir_of(&proxy), proxy.tempdir().join("moved"));
    ask(&proxy);
    dump(&dir, 1, "response");
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(&dir, &moved).unwrap();
    symlink(elsewhere.path(), &dir).unwrap();
    ask(&proxy);
    dump(&moved, 2, "response");
    assert_eq!(names(elsewhere.path()), [] as [&str; 0]);
    // Where it is gone, requests are served as ever.
    fs::remove_dir_all(&moved).unwrap();
    assert_eq!(ask(&proxy).status, 200);
    proxy.wait_for_stderr("--dump-dir: ");
    proxy.wait_for_stderr("dumps given up: No such file or directory");
}

#[test]
fn with_a_user_the_directory_is_made_for_that_user() {
    if !is_root() {
        return skipped("only root can become another user");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let dumps = dir.path().join("dumps");
    let as_nobody = || {
        Proxy::builder(&binary)
            .upstream(&upstream)
            .args(["--user", "nobody"])
            .arg("--dump-dir")
            .arg(&dumps)
    };
    let proxy = as_nobody().start();
    ask(&proxy);
    dump(&dumps, 1, "response");
    let owners = [dumps.clone(), find(&dumps, 1, "request").unwrap()];
    assert_eq!(
        owners.map(|path| fs::metadata(path).unwrap().uid()),
        [65534; 2]
    );
    drop(proxy);
    chown(&dumps, Some(0), None).unwrap();
    let mut refused = as_nobody().spawn();
    assert_eq!(refused.wait_exit().code(), Some(1));
    let stderr = refused.stderr_so_far();
    assert!(stderr.contains("chown 65534 it"), "{stderr}");
}

#[test]
fn a_full_disk_leaves_no_part_of_a_dump_and_costs_no_request() {
    let can_unshare = std::process::Command::new("unshare")
        .args(["--mount", "true"])
        .status();
    if !is_root() || !can_unshare.is_ok_and(|status| status.success()) {
        return skipped("no file system can be mounted here");
    }
    let large = "data: x\n\n".repeat(30_000);
    let upstream = MockUpstream::h1(Reply::made({
        let large = large.clone();
        move |request| {
            let size = if request.text() == "large" {
                large.len()
            } else {
                9
            };
            Reply::bytes(200, "text/event-stream", large[..size].to_owned())
        }
    }));
    let mount =
        "mkdir disk && mount -t tmpfs -o size=128k,mode=755 none disk && exec \"$0\" \"$@\"";
    let proxy = in_front_of(&upstream)
        .args(["--dump-dir", "disk/dumps"])
        .under(["unshare", "--mount", "sh", "-c", mount])
        .start();
    let root = PathBuf::from(format!("/proc/{}/root", proxy.pid()));
    let inside = proxy.tempdir().join("disk/dumps");
    let dir = root.join(inside.strip_prefix("/").unwrap());
    let ask = |body: &str| proxy.client().post(RESPONSES, &[], body).read_answer();
    let answer = ask("large");
    assert_eq!((answer.end, answer.text()), (End::Clean, large));
    let stderr = proxy.wait_for_stderr("dumps given up: No space left on device");
    assert_eq!(stderr.matches("given up").count(), 1, "{stderr}");
    assert_eq!(ask("small").status, 200);
    dump(&dir, 2, "response");
    assert_eq!(dump(&dir, 1, "request")["body"], json!("large"));
    assert_eq!(find(&dir, 1, "response"), None);
    assert_eq!(names(&dir).len(), 3, "{:?}", names(&dir));
}

#[test]
fn what_a_kill_leaves_unfinished_the_next_start_removes() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(
        Reply::event_stream()
            .data(format!("data: {}\n\n", "x".repeat(100_000)))
            .hold(&gate),
    );
    let at = tempfile::tempdir().unwrap();
    let start = || {
        in_front_of(&upstream)
            .arg("--dump-dir")
            .arg(at.path())
            .start()
    };
    let mut proxy = start();
    let mut client = proxy.client();
    client.post(RESPONSES, &[], "{}");
    client.read_head();
    wait_for("an unfinished file", || unfinished(at.path()).pop());
    dump(at.path(), 1, "request");
    proxy.signal(signal("KILL"));
    proxy.wait_exit();
    assert_eq!(unfinished(at.path()).len(), 1);
    assert_eq!(find(at.path(), 1, "response"), None);
    let proxy = start();
    assert_eq!(names(at.path()).len(), 1, "{:?}", names(at.path()));
    drop(proxy);
    gate.release();
}

#[test]
fn the_oldest_dumps_are_removed_for_new_ones() {
    const LIMIT: u64 = 20 * 1024;
    let upstream = MockUpstream::h1(Reply::bytes(200, "text/plain", "x".repeat(2000)));
    let at = tempfile::tempdir().unwrap();
    let kept = at.path().join("notes.json");
    fs::write(&kept, "x".repeat(30_000)).unwrap();
    let old = at.path().join("900001-1500000000000-response.json");
    fs::write(&old, "x".repeat(15_000)).unwrap();
    let proxy = in_front_of(&upstream)
        .args(["--dump-limit", "20KiB"])
        .arg("--dump-dir")
        .arg(at.path())
        .start();
    for number in 1..=20 {
        ask(&proxy);
        dump(at.path(), number, "response");
        let dumps = names(at.path())
            .into_iter()
            .filter(|name| name != "notes.json");
        let size: u64 = dumps
            .map(|name| fs::metadata(at.path().join(name)).map_or(0, |found| found.len()))
            .sum();
        assert!(size <= LIMIT, "{size}");
    }
    assert!(!old.exists() && kept.exists());
    assert!(find(at.path(), 20, "request").is_some() && find(at.path(), 17, "response").is_some());
    assert_eq!(find(at.path(), 1, "request"), None);
    // One that is larger than all that may be there is given up, and removes what it had to.
    let large = "x".repeat(30_000);
    let answer = proxy.client().post(RESPONSES, &[], large).read_answer();
    assert_eq!(answer.status, 200);
    proxy.wait_for_stderr("dumps given up: larger than --dump-limit allows");
    dump(at.path(), 21, "response");
    assert_eq!(find(at.path(), 21, "request"), None);
    for name in names(at.path()) {
        assert_no_key(&fs::read(at.path().join(&name)).unwrap(), &name);
    }
}

#[test]
fn a_limit_without_a_directory_is_a_wrong_command_line() {
    let mut proxy = Proxy::builder(PROXY).args(["--dump-limit", "1MiB"]).spawn();
    assert_eq!(proxy.wait_exit().code(), Some(2));
}
