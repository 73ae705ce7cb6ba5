//! Where the key is in memory, and that no other process can read it.

use std::io::Write;
use std::process::Command;

pub(crate) use codex_test_support::skipped;
use codex_test_support::{Client, CutKind, Gate, MockUpstream, Proxy, Reply, TEST_KEY};

use crate::{PROXY, RESPONSES, ask, in_front_of};

/// How many copies of the key root can read in the proxy's memory; `None` if we may not look.
fn copies(proxy: &Proxy) -> Option<usize> {
    match proxy.key_copies_in_memory() {
        Ok(found) => {
            for (region, leak) in &found {
                let _ = std::io::stderr().write_all(format!("{leak:?} in {region}\n").as_bytes());
            }
            Some(found.len())
        }
        Err(error) => {
            skipped(&format!("the proxy's memory cannot be read: {error}"));
            None
        }
    }
}

/// What the page itself counts for: nothing where it is secret memory.
fn page_copies(proxy: &Proxy) -> usize {
    let banner = proxy.wait_for_stderr("key: ");
    // Anonymous memory shows both forms.
    if banner.contains("memfd_secret") {
        0
    } else {
        2
    }
}

#[test]
fn no_copy_of_the_key_outside_its_page_after_a_thousand_requests_over_tls() {
    let streaming = Reply::event_stream()
        .data("data: 1\n\n")
        .data("data: 2\n\n");
    for upstream in [
        MockUpstream::tls_h1(streaming.clone()),
        MockUpstream::h2(streaming.clone()),
    ] {
        let proxy = in_front_of(&upstream).start();
        let page = page_copies(&proxy);
        let Some(at_start) = copies(&proxy) else {
            return;
        };
        assert_eq!(at_start, page, "at the start");
        std::thread::scope(|threads| {
            for _ in 0..10 {
                threads.spawn(|| {
                    let mut client = proxy.client();
                    for _ in 0..100 {
                        assert_eq!(client.post(RESPONSES, &[], "{}").read_answer().status, 200);
                    }
                });
            }
        });
        let expected = format!("Bearer {TEST_KEY}");
        let sent = upstream.wait_for_requests(1000);
        assert!(
            sent.iter()
                .all(|request| request.header("authorization") == Some(&expected))
        );
        assert_eq!(copies(&proxy), Some(page), "idle after 1,000 requests");
    }
}

#[test]
fn no_copy_while_fifty_streams_are_open() {
    let gate = Gate::new();
    let held = Reply::event_stream().data("data: 1\n\n").hold(&gate);
    for upstream in [
        MockUpstream::tls_h1(held.clone()),
        MockUpstream::h2(held.clone()),
    ] {
        let proxy = in_front_of(&upstream).start();
        let mut streams: Vec<Client> = (0..50).map(|_| proxy.client()).collect();
        for stream in &mut streams {
            stream.post(RESPONSES, &[], "{}");
            stream.read_head();
        }
        let Some(found) = copies(&proxy) else { return };
        assert_eq!(found, page_copies(&proxy));
    }
}

#[test]
fn no_copy_after_errors_and_callers_that_leave() {
    let silent = MockUpstream::h2(Reply::silence());
    let cut = MockUpstream::tls_h1(Reply::event_stream().data("x").cut(CutKind::TlsTruncate));
    let closed = MockUpstream::h2(Reply::cut_before_head(CutKind::Fin));
    for upstream in [&silent, &cut, &closed] {
        let proxy = in_front_of(upstream).start();
        for index in 0..20 {
            let mut client = proxy.client();
            client.post(RESPONSES, &[], "{}");
            if std::ptr::eq(upstream, &raw const silent) {
                upstream.wait_for_complete(index);
                client.close();
                upstream.wait_for_cancel(index);
            } else {
                client.read_answer();
            }
        }
        let Some(found) = copies(&proxy) else { return };
        assert_eq!(found, page_copies(&proxy));
    }
}

/// The control: over a plain connection, which has no record to seal the key in,
/// the same search finds it. It also pins what the documentation admits.
#[test]
fn the_search_finds_a_key_where_there_is_one() {
    let gate = Gate::new();
    let upstream = MockUpstream::h1(Reply::event_stream().data("data: 1\n\n").hold(&gate));
    let proxy = in_front_of(&upstream).start();
    let mut streams: Vec<Client> = (0..10).map(|_| proxy.client()).collect();
    for stream in &mut streams {
        stream.post(RESPONSES, &[], "{}");
        stream.read_head();
    }
    let Some(found) = copies(&proxy) else { return };
    assert!(
        found > 0,
        "ten requests in cleartext and no copy found: the search is blind"
    );
    assert!(
        found <= 10 + page_copies(&proxy),
        "{found} copies for ten connections"
    );
}

pub(crate) fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
}

/// The strictest `--sandbox` there is here: a program file that its user can read, as the one under
/// test, will not do for `require` unless that is root.
pub(crate) fn strictest_sandbox() -> &'static str {
    if is_root() { "require" } else { "best-effort" }
}

/// Runs `program` as the user the proxy runs as, and returns whether it succeeded.
fn as_nobody(program: &[&str]) -> (bool, String) {
    let output = Command::new("setpriv")
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .args(program)
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn another_process_of_the_same_user_can_look_at_nothing() {
    if !std::fs::metadata("/proc/self")
        .is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
    {
        return skipped("only root can start the proxy as another user");
    }
    if Command::new("setpriv").arg("--version").output().is_err() {
        return skipped("setpriv is not installed");
    }
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    for name in ["codex-responses-api-proxy", "codex"] {
        let Some(binary) = copy_of(name, dir.path()) else {
            skipped("codex was not built; cargo test --workspace builds it");
            continue;
        };
        let mut builder = Proxy::builder(&binary)
            .under([
                "setpriv",
                "--reuid",
                "65534",
                "--regid",
                "65534",
                "--clear-groups",
            ])
            .upstream(&upstream);
        if name == "codex" {
            builder = builder.subcommand("responses-api-proxy");
        }
        let proxy = builder.start();
        assert_eq!(ask(&proxy).status, 200);
        let pid = proxy.pid();
        for file in [
            "mem", "environ", "maps", "smaps", "stack", "auxv", "syscall", "fd/0",
        ] {
            let (could, why) = as_nobody(&["cat", &format!("/proc/{pid}/{file}")]);
            assert!(!could, "/proc/{pid}/{file} can be read");
            assert!(
                why.contains("ermission denied") || why.contains("not permitted"),
                "{why}"
            );
        }
        for (call, arguments) in [
            ("ptrace", "16, $pid, 0, 0"),
            ("process_vm_readv", "$pid, $here, 1, $there, 1, 0"),
        ] {
            assert_call_refused(pid, call, arguments);
        }
        for debugger in [
            &["gcore", "-o", "/dev/null"][..],
            &["gdb", "-batch", "-p"],
            &["strace", "-p"],
        ] {
            let (program, arguments) = debugger.split_first().unwrap();
            if Command::new(program).arg("--version").output().is_err() {
                skipped(&format!("{program} is not installed"));
                continue;
            }
            let pid = pid.to_string();
            let command: Vec<&str> =
                [&["timeout", "10", program], arguments, &[pid.as_str()]].concat();
            let (_, said) = as_nobody(&command);
            assert!(
                said.contains("not permitted") || said.contains("ptrace"),
                "{program} said: {said}"
            );
        }
        assert_eq!(ask(&proxy).status, 200);
    }
}

/// Makes a system call on the proxy from a program of the same user, by perl.
fn assert_call_refused(pid: u32, call: &str, arguments: &str) {
    let number = match (call, std::env::consts::ARCH) {
        ("ptrace", "x86_64") => 101,
        ("process_vm_readv", "x86_64") => 310,
        ("ptrace", "aarch64") => 117,
        ("process_vm_readv", "aarch64") => 270,
        _ => return skipped("no system call numbers for this architecture"),
    };
    if Command::new("perl").arg("-v").output().is_err() {
        return skipped("perl is not installed");
    }
    let script = format!(
        r#"my $pid = {pid}; my $room = "x" x 8;
           my $here = pack("QQ", unpack("Q", pack("p", $room)), 8);
           my $there = pack("QQ", 0x10000, 8);
           my $done = syscall({number}, {arguments});
           die "it was done\n" if $done != -1;
           die "another error: $!\n" unless $!{{EPERM}};"#
    );
    let (refused, why) = as_nobody(&["perl", "-MErrno", "-e", &script]);
    assert!(refused, "{call}: {why}");
}

pub(crate) fn open_to_all(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A copy of one of our binaries where every user can run it.
pub(crate) fn copy_of(name: &str, to: &std::path::Path) -> Option<std::path::PathBuf> {
    let from = std::path::Path::new(PROXY).with_file_name(name);
    let copy = to.join(name);
    // Not by this process: what another test starts meanwhile would hold the new file
    // open for writing, and it could not be run.
    let copied = std::process::Command::new("cp")
        .args([&from, &copy])
        .status();
    copied.ok().filter(std::process::ExitStatus::success)?;
    open_to_all(&copy);
    Some(copy)
}
