//! What `/proc/PID` shows of a process to everybody: its user, capabilities, filters, limits.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::process::geteuid;

use crate::finding::Finding;
use crate::processes::{Status, limit};

/// Sets of capabilities that a process without any shows as empty. The bounding set gives nothing by itself where no
/// new privileges can be had.
const SETS: [&str; 4] = ["CapInh", "CapPrm", "CapEff", "CapAmb"];

/// A thread's filter of system calls is in force (`SECCOMP_MODE_FILTER`).
const FILTER: &str = "2";

pub(super) fn findings(pid: u32, status: &Status) -> Vec<Finding> {
    let threads = threads(pid).unwrap_or_else(|_| vec![status.clone()]);
    vec![
        user(status, geteuid().as_raw()),
        dumpable_of(pid, status),
        no_new_privileges(&threads),
        seccomp(&threads),
        capabilities(&threads),
        core_limit(limit(pid, "Max core file size")),
        tracer(status),
        locked_memory(status),
    ]
}

/// Each thread has its own filter and its own capabilities: one without is enough for an intruder.
fn threads(pid: u32) -> io::Result<Vec<Status>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let name = entry?.file_name();
        // One that has ended since is none any more.
        if let Ok(status) = Status::of(&format!("{pid}/task/{}", name.to_string_lossy())) {
            all.push(status);
        }
    }
    if all.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    Ok(all)
}

fn user(status: &Status, own: u32) -> Finding {
    let check = "proxy.user";
    let why =
        "another user than the callers' cannot be traced or stopped by them, whatever else fails";
    let users = status.users();
    let Some(&user) = users.first() else {
        return Finding::unknown(check, "/proc does not say", why, "sudo codex doctor");
    };
    let mend = "start it as root with --user codex-proxy";
    if users.iter().any(|&other| other != user) {
        let found = format!("it can still become another user: {users:?}");
        Finding::failed(check, found, why, mend)
    } else if user == 0 {
        let why = "an intruder in it would be root, without capabilities, and own root's files";
        Finding::warning(check, "it runs as root", why, mend)
    } else if user == own {
        let found = format!(
            "it runs as user {user}, as this process does: its processes can stop the proxy, and replace files of \
             that user"
        );
        Finding::warning(check, found, why, mend)
    } else {
        Finding::ok(check, format!("it runs as user {user}"), why)
    }
}

/// The owner of `/proc/PID/environ`: root's if the process is not dumpable (proc(5)).
fn owner_of_files(pid: u32) -> io::Result<u32> {
    Ok(fs::metadata(format!("/proc/{pid}/environ"))?.uid())
}

pub(super) fn dumpable_of(pid: u32, status: &Status) -> Finding {
    dumpable(status, owner_of_files(pid))
}

fn dumpable(status: &Status, owner: io::Result<u32>) -> Finding {
    let check = "proxy.dumpable";
    let why = "a dumpable process can be read, traced and dumped by others of its user";
    let user = status.users().get(1).copied().unwrap_or_default();
    match owner {
        Ok(0) if user == 0 => Finding::unknown(
            check,
            "it runs as root, to whom its files in /proc belong in either case",
            why,
            "see proxy.memory_access, which tries it",
        ),
        Ok(0) => Finding::ok(
            check,
            "not dumpable: its files in /proc belong to root",
            why,
        ),
        Ok(owner) => Finding::failed(
            check,
            format!("dumpable: its files in /proc belong to user {owner}"),
            why,
            "start the proxy anew, from a program of this release",
        ),
        Err(error) => Finding::unknown(check, error.to_string(), why, "sudo codex doctor"),
    }
}

/// How many threads have something else than `expected` on this line, or nothing.
fn without(threads: &[Status], line: &str, expected: impl Fn(&str) -> bool) -> usize {
    threads
        .iter()
        .filter(|thread| !thread.line(line).is_some_and(&expected))
        .count()
}

fn no_new_privileges(threads: &[Status]) -> Finding {
    let bare = without(threads, "NoNewPrivs", |value| value == "1");
    Finding::ok_if(
        bare == 0,
        "proxy.no_new_privileges",
        of_threads("NoNewPrivs is 1", bare, threads.len()),
        "a program started from it gains nothing by set-user-ID bits",
        "start the proxy anew, from a program of this release",
    )
}

fn seccomp(threads: &[Status]) -> Finding {
    let bare = without(threads, "Seccomp", |mode| mode == FILTER);
    Finding::ok_if(
        bare == 0,
        "proxy.seccomp",
        of_threads("system calls are filtered", bare, threads.len()),
        "whoever gets into it can do nothing but what serving needs",
        "start it without --sandbox=off; --sandbox=require refuses to start without",
    )
}

fn capabilities(threads: &[Status]) -> Finding {
    let is_none = |set: &str| set.chars().all(|digit| digit == '0');
    let worst = SETS.iter().map(|set| without(threads, set, is_none)).max();
    let with = worst.unwrap_or(threads.len());
    Finding::ok_if(
        with == 0,
        "proxy.capabilities",
        of_threads("no capabilities", with, threads.len()),
        "whoever gets into it has nothing of root's powers",
        "start it without --sandbox=off",
    )
}

fn of_threads(what: &str, without: usize, all: usize) -> String {
    match without {
        0 => format!("{what}, in all of its {all} threads"),
        some => format!("not so in {some} of its {all} threads: {what}"),
    }
}

fn core_limit(limit: io::Result<Option<(String, String)>>) -> Finding {
    let check = "proxy.core_limit";
    let why = "a core dump would write its memory to a file";
    match limit {
        Ok(Some((soft, hard))) => Finding::ok_if(
            soft == "0" && hard == "0",
            check,
            format!("soft {soft}, hard {hard}"),
            why,
            "start the proxy anew, from a program of this release",
        ),
        Ok(None) => Finding::unknown(check, "/proc does not say", why, "sudo codex doctor"),
        Err(error) => Finding::unknown(check, error.to_string(), why, "sudo codex doctor"),
    }
}

fn tracer(status: &Status) -> Finding {
    let check = "proxy.tracer";
    let why = "whoever traces it reads its memory";
    match status.line("TracerPid") {
        Some("0") => Finding::ok(check, "nobody traces it", why),
        Some(pid) => Finding::failed(
            check,
            format!("process {pid} traces it"),
            why,
            "find out whose that is, start the proxy anew and renew the key",
        ),
        None => Finding::unknown(check, "/proc does not say", why, "sudo codex doctor"),
    }
}

fn locked_memory(status: &Status) -> Finding {
    let check = "proxy.locked_memory";
    let why = "the key's page is never written to swap";
    match status.line("VmLck") {
        Some("0 kB") => Finding::failed(
            check,
            "none of its memory is locked",
            why,
            "start it without --allow-unlocked-key, with LimitMEMLOCK=8M",
        ),
        Some(locked) => Finding::ok(check, format!("{locked} locked"), why),
        None => Finding::unknown(check, "/proc does not say", why, "sudo codex doctor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    fn status(text: &str) -> Status {
        Status::parse(text)
    }

    const SAFE: &str = "Uid:\t9\t9\t9\t9\nCapInh:\t0000000000000000\nCapPrm:\t0000000000000000\n\
        CapEff:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\nTracerPid:\t0\n\
        VmLck:\t       4 kB\n";

    /// The states of everything that a status says.
    fn states(text: &str) -> [State; 6] {
        let threads = [status(SAFE), status(text)];
        let own = &threads[1];
        [
            user(own, 1000).state,
            no_new_privileges(&threads).state,
            seccomp(&threads).state,
            capabilities(&threads).state,
            tracer(own).state,
            locked_memory(own).state,
        ]
    }

    #[test]
    fn each_protection_that_is_missing_fails_alone() {
        assert_eq!(states(SAFE), [State::Ok; 6]);
        for (at, from, to) in [
            (0, "Uid:\t9\t9\t9", "Uid:\t9\t9\t0"),
            (1, "NoNewPrivs:\t1", "NoNewPrivs:\t0"),
            (2, "Seccomp:\t2", "Seccomp:\t0"),
            (2, "Seccomp:\t2\n", ""),
            (3, "CapPrm:\t0000000000000000", "CapPrm:\t0000000000080000"),
            (3, "CapInh:\t0000000000000000", "CapInh:\t0000000000000001"),
            (3, "CapAmb:\t0000000000000000\n", ""),
            (4, "TracerPid:\t0", "TracerPid:\t77"),
            (5, "       4 kB", "       0 kB"),
        ] {
            let mut expected = [State::Ok; 6];
            expected[at] = State::Failed;
            assert_eq!(states(&SAFE.replace(from, to)), expected, "{to}");
        }
    }

    #[test]
    fn the_caller_s_own_user_and_root_are_warned_about() {
        assert_eq!(user(&status("Uid:\t5\t5\t5\t5"), 5).state, State::Warning);
        assert_eq!(user(&status("Uid:\t0\t0\t0\t0"), 5).state, State::Warning);
        assert_eq!(user(&status(""), 5).state, State::Unknown);
    }

    #[test]
    fn what_the_owner_of_its_files_means_depends_on_its_user() {
        let of = |user: &str, owner| dumpable(&status(user), owner).state;
        assert_eq!(of("Uid:\t9\t9\t9\t9", Ok(0)), State::Ok);
        assert_eq!(of("Uid:\t9\t9\t9\t9", Ok(9)), State::Failed);
        assert_eq!(of("Uid:\t0\t0\t0\t0", Ok(0)), State::Unknown);
        let denied = Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(of("Uid:\t9\t9\t9\t9", denied), State::Unknown);
    }

    #[test]
    fn a_core_file_of_any_size_is_too_large() {
        let of =
            |soft: &str, hard: &str| core_limit(Ok(Some((soft.to_owned(), hard.to_owned())))).state;
        assert_eq!(of("0", "0"), State::Ok);
        assert_eq!(of("0", "unlimited"), State::Failed);
        assert_eq!(of("1", "1"), State::Failed);
        assert_eq!(core_limit(Ok(None)).state, State::Unknown);
    }
}
