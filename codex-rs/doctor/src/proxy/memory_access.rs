//! An attempt to get at the memory of the proxy, by every way that takes the access check of `ptrace(2)` and leaves the
//! process alone: nothing is read, nothing is attached.
//!
//! Root can always, by a capability. So where this runs as root a thread becomes the user of the proxy, without a
//! capability, and tries: what that thread cannot do, no process of that user can.

use std::fs::{self, File};
use std::io::{self, IoSliceMut};
use std::thread;

use codex_process_hardening::drop_capabilities;
use nix::errno::Errno;
use nix::sys::uio::{RemoteIoVec, process_vm_readv};
use rustix::process::{
    Gid, Pid, PidfdFlags, PidfdGetfdFlags, Uid, geteuid, pidfd_getfd, pidfd_open,
};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use crate::finding::{Finding, State};
use crate::processes::Status;

const CHECK: &str = "proxy.memory_access";
const WHY: &str = "what a process of the same user can read, an agent can";

/// A descriptor that no process has: where it may be asked for, the answer is that there is none.
const NO_DESCRIPTOR: i32 = i32::MAX;

/// What came of one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    Refused,
    Permitted,
    /// The kernel has no such way, or the process is gone.
    Unclear,
}

/// What came of all, by name.
type Answers = Vec<(&'static str, Answer)>;

pub(super) fn finding(pid: u32, status: &Status) -> Finding {
    let own = geteuid();
    let (Some(&user), Some(&group)) = (status.users().get(1), status.groups().get(1)) else {
        return Finding::unknown(CHECK, "its user is not known", WHY, "sudo codex doctor");
    };
    if !own.is_root() {
        let who = if own.as_raw() == user {
            format!("as user {user}, the proxy's own")
        } else {
            format!(
                "as user {}, and the proxy runs as user {user}",
                own.as_raw()
            )
        };
        return judge(&who, &attempt(pid));
    }
    let tried = thread::Builder::new()
        .name("attempt".to_owned())
        .spawn(move || as_user(user, group).map(|()| attempt(pid)));
    let answers = match tried.map(thread::JoinHandle::join) {
        Ok(Ok(Ok(answers))) => answers,
        Ok(Ok(Err(error))) | Err(error) => {
            let found = format!("it could not be tried as user {user}: {error}");
            return Finding::unknown(CHECK, found, WHY, "run it as that user, without sudo");
        }
        Ok(Err(_)) => {
            let found = "the thread that tried it ended early";
            return Finding::unknown(CHECK, found, WHY, "run it as that user, without sudo");
        }
    };
    let who = format!(
        "on a thread that became user {user} without capabilities, because root itself always can"
    );
    let finding = judge(&who, &answers);
    if finding.state == State::Ok && has_capabilities(status) {
        // Who has fewer is refused for that alone (ptrace(2), "Ptrace access mode checking").
        let found = "it has capabilities, so that a process without any is refused says nothing";
        return Finding::unknown(CHECK, found, WHY, "see proxy.capabilities");
    }
    finding
}

fn has_capabilities(status: &Status) -> bool {
    let permitted = status.line("CapPrm").unwrap_or_default();
    permitted.chars().any(|digit| digit != '0')
}

/// Makes this thread, and no other, one of that user without a capability.
fn as_user(user: u32, group: u32) -> io::Result<()> {
    let (uid, gid) = (Uid::from_raw(user), Gid::from_raw(group));
    set_thread_groups(&[])?;
    set_thread_res_gid(gid, gid, gid)?;
    set_thread_res_uid(uid, uid, uid)?;
    drop_capabilities()
}

fn judge(who: &str, answers: &Answers) -> Finding {
    let of = |wanted| -> Vec<&str> {
        let wanted = answers.iter().filter(|(_, answer)| *answer == wanted);
        wanted.map(|(way, _)| *way).collect()
    };
    let (permitted, refused) = (of(Answer::Permitted), of(Answer::Refused));
    if !permitted.is_empty() {
        return Finding::failed(
            CHECK,
            format!("tried {who}; permitted: {}", permitted.join(", ")),
            WHY,
            "start the proxy anew, from a program of this release",
        );
    }
    if refused.is_empty() {
        let found = format!("no way could be tried {who}");
        return Finding::unknown(CHECK, found, WHY, "is the proxy still there?");
    }
    Finding::ok(
        CHECK,
        format!("tried {who}; refused: {}", refused.join(", ")),
        WHY,
    )
}

/// Tries every way, as the user of this thread.
fn attempt(pid: u32) -> Answers {
    let open = |file: &str| File::open(format!("/proc/{pid}/{file}")).map(drop);
    vec![
        ("/proc/PID/mem", of_file(open("mem"))),
        ("/proc/PID/environ", of_file(open("environ"))),
        ("/proc/PID/maps", of_file(open("maps"))),
        ("/proc/PID/fd", of_file(look_at_descriptor(pid))),
        ("process_vm_readv", read_nothing(pid)),
        ("pidfd_getfd", take_no_descriptor(pid)),
    ]
}

/// Where the first of its descriptors leads. To list them takes no more than to own the directory, which root does.
fn look_at_descriptor(pid: u32) -> io::Result<()> {
    let mut descriptors = fs::read_dir(format!("/proc/{pid}/fd"))?;
    let first = descriptors.next().ok_or(io::ErrorKind::Unsupported)??;
    fs::read_link(first.path()).map(drop)
}

fn of_file(opened: io::Result<()>) -> Answer {
    match opened {
        Ok(()) => Answer::Permitted,
        // With hidepid a process of another user is not there.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound
            ) =>
        {
            Answer::Refused
        }
        Err(_) => Answer::Unclear,
    }
}

/// Asks for a byte at an address where no process has one: who may read is told so, and gets nothing.
fn read_nothing(pid: u32) -> Answer {
    let Ok(pid) = i32::try_from(pid) else {
        return Answer::Unclear;
    };
    let mut byte = [0_u8];
    let mut into = [IoSliceMut::new(&mut byte)];
    let from = [RemoteIoVec { base: 0, len: 1 }];
    match process_vm_readv(nix::unistd::Pid::from_raw(pid), &mut into, &from) {
        Ok(_) | Err(Errno::EFAULT) => Answer::Permitted,
        Err(Errno::EPERM | Errno::EACCES) => Answer::Refused,
        Err(_) => Answer::Unclear,
    }
}

fn take_no_descriptor(pid: u32) -> Answer {
    use rustix::io::Errno;

    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let Some(Ok(process)) = pid.map(|pid| pidfd_open(pid, PidfdFlags::empty())) else {
        return Answer::Unclear;
    };
    match pidfd_getfd(process, NO_DESCRIPTOR, PidfdGetfdFlags::empty()) {
        Ok(_) | Err(Errno::BADF) => Answer::Permitted,
        Err(Errno::PERM | Errno::ACCESS) => Answer::Refused,
        Err(_) => Answer::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_way_in_is_enough_to_fail() {
        let of = |answers: &[Answer]| {
            let answers: Answers = answers.iter().map(|answer| ("way", *answer)).collect();
            judge("who", &answers).state
        };
        assert_eq!(of(&[Answer::Refused, Answer::Refused]), State::Ok);
        assert_eq!(of(&[Answer::Refused, Answer::Unclear]), State::Ok);
        assert_eq!(of(&[Answer::Refused, Answer::Permitted]), State::Failed);
        assert_eq!(of(&[Answer::Unclear]), State::Unknown);
        assert_eq!(of(&[]), State::Unknown);
    }

    #[test]
    fn every_way_leads_into_a_process_that_is_open() {
        // A child of ours, which nobody hardened.
        let mut child = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        let answers = attempt(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        for (way, answer) in answers {
            assert_eq!(answer, Answer::Permitted, "{way}");
        }
    }
}
