//! The process that reads keys for the proxy, where they change: it holds them as well, for a moment.

use std::fs;
use std::io;

use crate::finding::{Finding, State};
use crate::processes::Status;
use crate::proxy::{memory_access, process};

const CHECK: &str = "proxy.key_process";
const WHY: &str = "a process that reads keys for the proxy has to be as closed as the proxy";

pub(super) fn finding(pid: u32) -> Finding {
    let children = match children(pid) {
        Ok(children) => children,
        Err(error) => {
            return Finding::unknown(CHECK, error.to_string(), WHY, "pgrep -P, of the proxy");
        }
    };
    let mut worst: Option<Finding> = None;
    for &child in &children {
        // One that has ended since holds nothing.
        let Ok(status) = Status::of(&child.to_string()) else {
            continue;
        };
        for found in [
            process::dumpable_of(child, &status),
            memory_access::finding(child, &status),
        ] {
            if matches!(found.state, State::Failed) {
                worst = Some(found);
            }
        }
    }
    match worst {
        Some(found) => Finding::failed(
            CHECK,
            format!("a process that the proxy started is open: {}", found.found),
            WHY,
            "start the proxy anew, from a program of this release",
        ),
        None if children.is_empty() => Finding::ok(CHECK, "there is none", WHY),
        None => Finding::ok(CHECK, "not dumpable, and its memory is closed", WHY),
    }
}

/// Those that any of its threads has started (`/proc/PID/task/TID/children`).
fn children(pid: u32) -> io::Result<Vec<u32>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(format!("/proc/{pid}/task"))? {
        let list = fs::read_to_string(entry?.path().join("children"))?;
        all.extend(
            list.split_whitespace()
                .filter_map(|n| n.parse::<u32>().ok()),
        );
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_that_nobody_hardened_is_found() {
        let mut command = Command::new("sleep");
        command.arg("60");
        if rustix::process::geteuid().is_root() {
            command.uid(65534).gid(65534);
        }
        let mut child = command.spawn().unwrap();
        let found = finding(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.state, State::Failed, "{found:?}");
    }
}
