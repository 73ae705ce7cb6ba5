//! A log in a place that is not the proxy's own, and in the sandbox.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};

use codex_test_support::{MockUpstream, Proxy, Reply, TEST_KEY, run_to_exit, skipped};

use crate::custody::{copy_of, is_root, open_to_all};
use crate::log_drops::wait_until;
use crate::records::{logged, records};
use crate::{PROXY, ask, in_front_of};

/// SIGHUP (signal(7)).
const HUP: i32 = 1;

#[test]
fn a_file_with_a_second_name_is_not_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let (log, other) = (dir.path().join("log"), dir.path().join("other"));
    fs::write(&other, "before\n").unwrap();
    fs::hard_link(&other, &log).unwrap();
    let args = ["--access-log", log.to_str().unwrap()];
    let output = run_to_exit(PROXY, &args, &[], TEST_KEY.as_bytes());
    assert_eq!(output.code, Some(1), "{output:?}");
    let said = output.stderr;
    assert!(
        said.contains("--access-log") && said.contains("more than one name"),
        "{said}"
    );
    assert_eq!(fs::read_to_string(&other).unwrap(), "before\n");
}

#[test]
fn a_user_without_rights_to_the_directory_goes_on_writing_the_file_that_root_opened() {
    if !is_root() {
        return skipped("only root can become another user");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let log = dir.path().join("access.log");
    let proxy = Proxy::builder(binary)
        .upstream(&upstream)
        .args(["--user", "nobody", "--access-log"])
        .arg(&log)
        .start();
    proxy.wait_for_stderr("SIGHUP finds no new file in the place of");
    assert!(proxy.status_line("Uid").starts_with("65534"));
    assert_eq!(ask(&proxy).status, 200);
    records(&log, 1);
    // It may not make a new file: the old one is written, under whatever name it has now.
    let old = dir.path().join("access.log.1");
    fs::rename(&log, &old).unwrap();
    proxy.signal(HUP);
    proxy.wait_for_stderr("a log was not opened anew, and goes on as it was");
    assert_eq!(ask(&proxy).status, 200);
    records(&old, 2);
    assert!(!log.exists());
}

#[test]
fn a_log_is_written_and_rotated_in_the_strictest_sandbox() {
    if !is_root() {
        return skipped("--sandbox=require needs a program file that its user cannot read");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let mut logged = logged(in_front_of(&upstream).args(["--sandbox", "require"]));
    assert_eq!(ask(&logged.proxy).status, 200);
    logged.records(1);
    let old = logged.log.with_extension("1");
    fs::rename(&logged.log, &old).unwrap();
    logged.proxy.signal(HUP);
    wait_until(|| logged.log.exists());
    assert_eq!(ask(&logged.proxy).status, 200);
    assert_eq!(logged.all().len(), 1);
    records(&old, 1);
}

#[test]
fn a_log_that_somebody_else_can_replace_is_said_to_be_one() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let warnings = |mode: u32| {
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        let mut proxy = in_front_of(&upstream)
            .arg("--access-log")
            .arg(dir.path().join("access.log"))
            .arg("--audit-log")
            .arg(dir.path().join("audit.log"))
            .start();
        proxy.signal(15);
        proxy.wait_exit();
        let stderr = proxy.stderr_so_far();
        let lines = stderr
            .lines()
            .filter(|line| line.contains("can put another file"));
        lines.map(str::to_owned).collect::<Vec<String>>()
    };
    let warning = |by: &str, name: &str| {
        format!(
            "warning: {by} can put another file in the place of {} and so decide what the log says; name one in a \
             directory of your own",
            dir.path().join(name).display()
        )
    };
    let both = |by: &str| ["access.log", "audit.log"].map(|name| warning(by, name));
    assert_eq!(warnings(0o777), both("every user of this host"));
    assert_eq!(warnings(0o1777), [] as [String; 0]);
    assert_eq!(warnings(0o755), [] as [String; 0]);
    if !is_root() {
        return skipped("only root can give a directory away");
    }
    chown(dir.path(), Some(65534), None).unwrap();
    // What is in a sticky directory is its owner's to replace, too.
    assert_eq!(warnings(0o1777), both("user 65534"));
}
