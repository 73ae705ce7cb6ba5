//! Secret memory and the sandbox, tried as the proxy would have them: on a thread that ends again, so that nothing is
//! given up by it.

use std::error::Error;
use std::thread;

use codex_process_hardening::{
    Mitigation, OnRefusedCall, SandboxPolicy, enter_sandbox, landlock_abi,
};
use codex_secret_memory::{Backing, PageError, Protection, SecretPage};

use crate::finding::Finding;

const SECCOMP: &str = "host.seccomp";
const LANDLOCK: &str = "host.landlock";
const LANDLOCK_WHY: &str =
    "it takes files, ports and other processes away from whoever gets into the proxy";
const SECCOMP_WHY: &str = "it takes system calls away from whoever gets into the proxy";

/// What [`enter_sandbox`] calls the list of system calls.
const OF_SECCOMP: &str = "listed system calls only";
/// And what is not Landlock either.
const OF_CAPABILITIES: &str = "no capabilities";

pub(super) fn secret_memory() -> Finding {
    of_page(SecretPage::new(false).map(|page| page.protection()))
}

fn of_page(page: Result<Protection, PageError>) -> Finding {
    let check = "host.secret_memory";
    match page {
        Ok(got) if got.backing == Backing::SecretMem => Finding::ok(
            check,
            format!("memfd_secret(2) works: {got}"),
            "not even root reads the key's page through /proc/PID/mem",
        ),
        Ok(got) => Finding::warning(
            check,
            format!("memfd_secret(2) is refused: {got}"),
            "root can read the key's page through /proc/PID/mem",
            "Linux 6.5 or newer, or secretmem.enable=1 on the kernel's command line; in a container, a seccomp profile \
             that allows memfd_secret (--security-opt seccomp=FILE)",
        ),
        Err(error) => {
            let cause = error
                .source()
                .map_or_else(String::new, |cause| format!(": {cause}"));
            Finding::failed(
                check,
                format!("{error}{cause}"),
                "the key could be written to swap; the proxy does not start without --allow-unlocked-key",
                "ulimit -l 8192, LimitMEMLOCK=8M in the unit, or --ulimit memlock=1048576 for the container",
            )
        }
    }
}

/// Landlock and seccomp.
pub(super) fn sandbox() -> [Finding; 2] {
    let rehearsal = thread::Builder::new()
        .name("rehearsal".to_owned())
        .spawn(|| {
            // As the proxy: without it Landlock and seccomp take a capability.
            let _ = rustix::thread::set_no_new_privs(true);
            enter_sandbox(&SandboxPolicy::default(), OnRefusedCall::Report)
        });
    match rehearsal.map(thread::JoinHandle::join) {
        Ok(Ok(mitigations)) => of_mitigations(&mitigations, landlock_abi()),
        Ok(Err(_)) => unknown("a thread that entered the sandbox ended early"),
        Err(error) => unknown(&format!("no thread can be started: {error}")),
    }
}

fn unknown(found: &str) -> [Finding; 2] {
    let mend = "start the proxy with --sandbox=require";
    [
        Finding::unknown(LANDLOCK, found, LANDLOCK_WHY, mend),
        Finding::unknown(SECCOMP, found, SECCOMP_WHY, mend),
    ]
}

fn of_mitigations(mitigations: &[Mitigation], abi: Option<u32>) -> [Finding; 2] {
    let of_landlock = |mitigation: &&Mitigation| {
        mitigation.name != OF_SECCOMP && mitigation.name != OF_CAPABILITIES
    };
    let named = |is_had: bool| -> Vec<&str> {
        mitigations
            .iter()
            .filter(of_landlock)
            .filter(|mitigation| mitigation.outcome.is_ok() == is_had)
            .map(|mitigation| mitigation.name.as_ref())
            .collect()
    };
    let (had, missing) = (named(true), named(false));
    let version = abi.map_or_else(|| "none".to_owned(), |abi| format!("ABI {abi}"));
    let landlock = if missing.is_empty() && !had.is_empty() {
        Finding::ok(
            LANDLOCK,
            format!("{version}: {}", had.join(", ")),
            LANDLOCK_WHY,
        )
    } else {
        Finding::warning(
            LANDLOCK,
            format!("{version}; not to be had: {}", missing.join(", ")),
            LANDLOCK_WHY,
            "Linux 6.12 or newer with landlock in the list lsm= of its command line; in a container, a seccomp profile \
             that allows the three calls landlock_* (--security-opt seccomp=FILE)",
        )
    };
    let seccomp = mitigations.iter().find(|m| m.name == OF_SECCOMP);
    let seccomp = match seccomp.map(|mitigation| &mitigation.outcome) {
        Some(Ok(())) => Finding::ok(SECCOMP, "filters of system calls work", SECCOMP_WHY),
        Some(Err(error)) => Finding::failed(
            SECCOMP,
            error.to_string(),
            SECCOMP_WHY,
            "a kernel with CONFIG_SECCOMP_FILTER; in a container, one that allows seccomp(2)",
        ),
        None => return unknown("it was not tried"),
    };
    [landlock, seccomp]
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::finding::State;

    fn mitigation(name: &'static str, is_had: bool) -> Mitigation {
        let outcome = if is_had {
            Ok(())
        } else {
            Err(io::ErrorKind::Unsupported.into())
        };
        Mitigation {
            name: name.into(),
            outcome,
        }
    }

    #[test]
    fn what_is_missing_of_the_sandbox_is_named() {
        let with = |files, ports, calls| {
            let all = [
                mitigation(OF_CAPABILITIES, true),
                mitigation("no files but those needed", files),
                mitigation("no TCP ports but those needed", ports),
                mitigation(OF_SECCOMP, calls),
            ];
            of_mitigations(&all, Some(3))
        };
        let [landlock, seccomp] = with(true, true, true);
        assert_eq!((landlock.state, seccomp.state), (State::Ok, State::Ok));
        let [landlock, seccomp] = with(true, false, false);
        assert_eq!(
            (landlock.state, seccomp.state),
            (State::Warning, State::Failed)
        );
        assert_eq!(
            landlock.found,
            "ABI 3; not to be had: no TCP ports but those needed"
        );
        // Names that change in the other crate are not taken for success.
        let [landlock, seccomp] = of_mitigations(&[mitigation("another name", true)], None);
        assert_eq!(
            (landlock.state, seccomp.state),
            (State::Unknown, State::Unknown)
        );
    }

    #[test]
    fn a_page_that_root_can_read_is_warned_about_and_one_that_is_not_locked_has_failed() {
        let got = |backing, locked| Protection {
            backing,
            refused: None,
            locked,
            undumpable: true,
            hidden_from_children: true,
        };
        assert_eq!(of_page(Ok(got(Backing::SecretMem, true))).state, State::Ok);
        assert_eq!(
            of_page(Ok(got(Backing::Anonymous, true))).state,
            State::Warning
        );
        let limit = PageError::Lock(io::ErrorKind::OutOfMemory.into());
        assert_eq!(of_page(Err(limit)).state, State::Failed);
    }

    #[test]
    fn the_sandbox_is_tried_and_this_thread_keeps_its_files() {
        let findings = sandbox();
        assert!(
            findings
                .iter()
                .all(|finding| finding.state != State::Unknown),
            "{findings:?}"
        );
        assert!(std::fs::read_to_string("/proc/self/status").is_ok());
    }
}
