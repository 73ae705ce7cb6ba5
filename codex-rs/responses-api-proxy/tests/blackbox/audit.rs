//! The audit log: a chain that goes on over restarts and rotations, and `audit verify`.

mod unwritable;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use codex_test_support::{
    MockUpstream, Output, Proxy, Reply, TEST_KEY, WAIT_TIMEOUT, assert_no_key, run_to_exit,
};
use tempfile::TempDir;

use crate::custody::strictest_sandbox;
use crate::{PROXY, ask, in_front_of};

/// SIGTERM and SIGHUP (signal(7)).
const TERM: i32 = 15;
const HANGUP: i32 = 1;

/// In the line of a request that was answered by the upstream.
const SERVED: &str = r#""http.response.status_code":200"#;

/// A file in a directory of its own, which outlives a proxy.
struct Log {
    dir: TempDir,
}

impl Log {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn audit(&self) -> PathBuf {
        self.path("audit.log")
    }
}

/// What is in a log, without the key.
#[track_caller]
fn read(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    assert_no_key(text.as_bytes(), &path.display().to_string());
    text
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// `audit verify` with these arguments.
#[track_caller]
fn verify(arguments: &[&str]) -> Output {
    let arguments = [&["audit", "verify"], arguments].concat();
    run_to_exit(PROXY, &arguments, &[], b"")
}

/// Ends the proxy, and returns the hash of the last line as it says it.
#[track_caller]
fn end(mut proxy: Proxy) -> String {
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
    let said = proxy.stderr_so_far();
    let (_, hash) = said
        .split_once("hash of the last one: ")
        .unwrap_or_else(|| panic!("{said}"));
    hash.lines().next().unwrap().to_owned()
}

/// Does something until it comes out as it should.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "never: {what}");
    }
}

#[test]
fn a_restart_goes_on_with_the_chain_and_the_hash_at_the_end_is_that_of_the_last_line() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let log = Log::new();
    let path = log.audit();
    let path = path.to_str().unwrap();
    let mut hashes = Vec::new();
    for _ in 0..2 {
        let proxy = in_front_of(&upstream)
            .args(["--audit-log", path, "--sandbox", strictest_sandbox()])
            .start();
        for _ in 0..3 {
            assert_eq!(ask(&proxy).status, 200);
        }
        assert_eq!(proxy.client().get("/").read_answer().status, 403);
        hashes.push(end(proxy));
    }
    let text = read(Path::new(path));
    assert_eq!(text.lines().count(), 10);
    assert_eq!(count(&text, SERVED), 6);
    let first = text.lines().next().unwrap();
    let none = "0".repeat(64);
    assert!(first.starts_with(&format!(r#"{{"prev":"{none}","event":"start","#)));
    let sixth = text.lines().nth(5).unwrap();
    let continues = format!(r#"{{"prev":"{}","event":"start","#, hashes[0]);
    assert!(sixth.starts_with(&continues), "{sixth}");
    let output = verify(&["--expect", &hashes[1], path]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let expected = format!(
        "{path}: 10 lines, from the beginning of a chain\n\
         10 lines in all; starts: 2; records dropped: 0; requests refused meanwhile: 0\n\
         last line: {}\n\
         it is the expected one\n\
         each line follows from the one before\n",
        hashes[1]
    );
    assert_eq!(output.stdout, expected);
    let output = verify(&["--expect", &hashes[0], path]);
    assert!(
        output
            .stdout
            .contains("the expected line is there, with 5 lines after it"),
        "{}",
        output.stdout
    );
    // Cut off at the end, which nothing else would tell.
    let cut: Vec<&str> = text.lines().take(9).collect();
    fs::write(path, cut.join("\n") + "\n").unwrap();
    assert_eq!(verify(&[path]).code, Some(0));
    let output = verify(&["--expect", &hashes[1], path]);
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .starts_with("Error: no line has the hash of --expect")
    );
}

#[test]
fn a_rotation_goes_on_with_the_chain() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let log = Log::new();
    let [new, old] = [log.audit(), log.path("audit.log.1")];
    let proxy = in_front_of(&upstream)
        .args(["--audit-log", new.to_str().unwrap()])
        .start();
    ask(&proxy);
    until("the line of a request", || read(&new).lines().count() == 2);
    fs::rename(&new, &old).unwrap();
    proxy.signal(HANGUP);
    until("a new file", || new.exists());
    ask(&proxy);
    ask(&proxy);
    let hash = end(proxy);
    assert_eq!([&old, &new].map(|path| read(path).lines().count()), [2, 2]);
    let [new, old] = [new.to_str().unwrap(), old.to_str().unwrap()];
    let output = verify(&[old, new, "--expect", &hash]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let last = verify(&[old]).stdout;
    let (_, last) = last.split_once("last line: ").unwrap();
    let last = &last[..64];
    let says = format!("{new}: 2 lines, continues from {last}\n");
    // The beginning is missing, unless it is known where the file goes on.
    for (args, code) in [
        (&[new][..], 1),
        (&[new, "--after", &hash], 1),
        (&[new, "--after", last], 0),
    ] {
        let output = verify(args);
        assert_eq!(output.code, Some(code), "{output:?}");
        assert!(output.stdout.starts_with(&says), "{}", output.stdout);
        assert_eq!(
            output.stderr.contains("the beginning is missing"),
            code == 1
        );
    }
    let empty = format!("{new}.empty");
    fs::write(&empty, "").unwrap();
    assert_eq!(verify(&[&empty]).code, Some(1));
    let output = verify(&[new, old]);
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stdout
            .contains("does not follow from the last line of"),
        "{}",
        output.stdout
    );
}

#[test]
fn a_changed_line_is_named_and_standard_input_will_do() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let log = Log::new();
    let path = log.audit();
    let proxy = in_front_of(&upstream)
        .args(["--audit-log", path.to_str().unwrap()])
        .start();
    for _ in 0..5 {
        ask(&proxy);
    }
    end(proxy);
    let text = read(&path);
    let of_stdin = |text: &str| run_to_exit(PROXY, &["audit", "verify", "-"], &[], text.as_bytes());
    assert_eq!(of_stdin(&text).code, Some(0));
    let mut lines: Vec<&str> = text.lines().collect();
    // Only that: the hash of the line before may have the same digits.
    let changed = lines[3].replace("status_code\":200", "status_code\":403");
    assert_ne!(changed, lines[3]);
    lines[3] = &changed;
    let output = of_stdin(&(lines.join("\n") + "\n"));
    assert_eq!(output.code, Some(1));
    let says = "-: line 5: does not follow from line 4 (changed, removed, or in another order)\n";
    assert!(output.stdout.starts_with(says), "{}", output.stdout);
    assert_eq!(output.stderr, "Error: the chain is broken in 1 place\n");
    let output = verify(&["/nowhere/audit.log"]);
    assert_eq!(output.code, Some(1));
    assert!(
        output
            .stderr
            .starts_with("Error: cannot read /nowhere/audit.log: ")
    );
    for wrong in [&[][..], &["--expect", "12", "-"]] {
        assert_eq!(verify(wrong).code, Some(2));
    }
}

#[test]
fn a_file_that_no_chain_can_go_on_in_is_refused_and_stays_as_it_is() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let log = Log::new();
    let path = log.audit();
    let refused = |args: &[&str]| {
        let mut proxy = in_front_of(&upstream).args(args).spawn();
        assert_eq!(proxy.wait_exit().code(), Some(1));
        proxy.stderr_so_far()
    };
    let audit_log = ["--audit-log", path.to_str().unwrap()];
    for (text, why) in [
        ("{\"prev\":", "ends in the middle of a line"),
        ("{\"ts\":\"\"}\n", "does not end in a line of an audit log"),
    ] {
        fs::write(&path, text).unwrap();
        let said = refused(&audit_log);
        assert!(
            said.starts_with("Error: --audit-log: ") && said.contains(why),
            "{said}"
        );
        assert!(
            said.contains("audit verify") && said.contains("move it away"),
            "{said}"
        );
        assert_eq!(read(&path), text);
    }
    fs::remove_file(&path).unwrap();
    assert!(refused(&["--audit-log", "/nowhere/audit.log"]).contains("--audit-log"));
    let proxy = in_front_of(&upstream).args(audit_log).start();
    let said = refused(&audit_log);
    assert!(said.contains("is written by another process"), "{said}");
    end(proxy);
    let output = run_to_exit(PROXY, &["--audit-required"], &[], b"");
    assert_eq!(output.code, Some(2));
}

/// The log is in the directory of the proxy, where the harness looks for the key.
#[test]
fn a_key_that_the_upstream_sends_back_is_in_no_line() {
    let answer = serde_json::json!({"id": TEST_KEY, "model": TEST_KEY, "status": "completed"});
    let upstream = MockUpstream::h1(Reply::json(200, &answer).header("x-request-id", TEST_KEY));
    let proxy = in_front_of(&upstream)
        .args(["--audit-log", "audit.log"])
        .start();
    let path = proxy.tempdir().join("audit.log");
    assert_eq!(ask(&proxy).status, 200);
    until("a line", || {
        fs::read(&path).unwrap().ends_with(b"}\n") && {
            let text = fs::read_to_string(&path).unwrap();
            text.contains(SERVED)
        }
    });
}
