//! The kernel and how it is set: what /proc says.

use std::fs;
use std::io;

use crate::finding::Finding;

/// The first version with `memfd_secret(2)`; Landlock is a little older.
const SECRET_MEMORY_SINCE: (u32, u32) = (5, 14);

/// The first version with all that the sandbox asks of Landlock.
const WHOLE_SANDBOX_SINCE: (u32, u32) = (6, 12);

pub(super) fn version() -> Finding {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy();
    of_release(&release)
}

fn of_release(release: &str) -> Finding {
    let check = "host.kernel";
    let why = "secret memory came with 5.14, and all of the sandbox with 6.12";
    let found = format!("Linux {release}");
    match numbers_of(release) {
        Some(version) if version >= WHOLE_SANDBOX_SINCE => Finding::ok(check, found, why),
        Some(version) if version >= SECRET_MEMORY_SINCE => Finding::ok(
            check,
            format!("{found}, without the newest of Landlock"),
            why,
        ),
        Some(_) => Finding::warning(check, found, why, "run a newer kernel"),
        None => Finding::unknown(check, found, why, "uname -r"),
    }
}

fn numbers_of(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `/proc/sys/kernel/yama/ptrace_scope`.
pub(super) fn ptrace_scope() -> Finding {
    of_ptrace_scope(read("/proc/sys/kernel/yama/ptrace_scope"))
}

fn of_ptrace_scope(setting: io::Result<String>) -> Finding {
    let check = "host.ptrace_scope";
    let why =
        "at 0 a process can enter others of its user; the proxy closes itself to that once it runs";
    match setting.as_deref().map(str::trim) {
        Ok("0") => Finding::warning(check, "0", why, "sysctl -w kernel.yama.ptrace_scope=1"),
        Ok(scope) => Finding::ok(check, scope.to_owned(), why),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Finding::ok(check, "this kernel has no Yama, as if it were 0", why)
        }
        Err(error) => Finding::unknown(check, error.to_string(), why, "sysctl kernel.yama"),
    }
}

/// `/proc/swaps`.
pub(super) fn swap() -> Finding {
    let check = "host.swap";
    let why = "the key's page is locked and never written there; requests and answers may be";
    match read("/proc/swaps") {
        Ok(text) => match text.lines().count().saturating_sub(1) {
            0 => Finding::ok(check, "there is none", why),
            areas => Finding::ok(check, format!("swap areas: {areas}"), why),
        },
        Err(error) => Finding::unknown(check, error.to_string(), why, "swapon --show"),
    }
}

/// `/proc/sys/kernel/core_pattern` (core(5)).
pub(super) fn core_pattern() -> Finding {
    let check = "host.core_pattern";
    match read("/proc/sys/kernel/core_pattern") {
        // The command has arguments, which say nothing here.
        Ok(pattern) if pattern.starts_with('|') => Finding::ok(
            check,
            "memory of crashed programs is given to a program, whatever their limit",
            "the proxy is kept out of it by not being dumpable, which proxy.dumpable reads back",
        ),
        Ok(_) => Finding::ok(
            check,
            "memory of crashed programs goes to a file",
            "the proxy has a limit of 0 bytes for that, which proxy.core_limit reads back",
        ),
        Err(error) => Finding::unknown(
            check,
            error.to_string(),
            "it says where memory of crashed programs goes",
            "sysctl kernel.core_pattern",
        ),
    }
}

/// How /proc is mounted (proc(5)).
pub(super) fn hidepid() -> Finding {
    let check = "host.hidepid";
    let why =
        "without it every user sees the arguments of all processes, so a key must never be one";
    match read("/proc/self/mountinfo") {
        Ok(mounts) => match hidepid_in(&mounts) {
            Some(setting) => Finding::ok(check, format!("hidepid={setting}"), why),
            None => Finding::ok(check, "not set", why),
        },
        Err(error) => Finding::unknown(check, error.to_string(), why, "findmnt /proc"),
    }
}

fn hidepid_in(mounts: &str) -> Option<&str> {
    let of_proc = mounts
        .lines()
        .rfind(|line| line.split(' ').nth(4) == Some("/proc"))?;
    let options = of_proc.rsplit(' ').next()?.split(',');
    let setting = options
        .filter_map(|option| option.strip_prefix("hidepid="))
        .next()?;
    (!matches!(setting, "0" | "off")).then_some(setting)
}

/// Whether users may make user namespaces: the kernel's own limit, Debian's switch and AppArmor's.
pub(super) fn user_namespaces() -> Finding {
    let forbids = |path: &str, value: &str| read(path).is_ok_and(|text| text.trim() == value);
    let is_off = forbids("/proc/sys/user/max_user_namespaces", "0")
        || forbids("/proc/sys/kernel/unprivileged_userns_clone", "0")
        || forbids(
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
        );
    let found = if is_off {
        "users cannot make them, or have nothing of them"
    } else {
        "every user can make them"
    };
    Finding::ok(
        "host.user_namespaces",
        found,
        "they open more of the kernel to every user; sandboxes of agents (bubblewrap) need them",
    )
}

fn read(path: &str) -> io::Result<String> {
    fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn a_kernel_without_secret_memory_is_warned_about() {
        for (release, state) in [
            ("6.18.44-fc", State::Ok),
            ("5.14.0-427.el9", State::Ok),
            ("5.10.0-32-amd64", State::Warning),
            ("4.19.0", State::Warning),
            ("odd", State::Unknown),
        ] {
            assert_eq!(of_release(release).state, state, "{release}");
        }
    }

    #[test]
    fn an_open_ptrace_scope_is_warned_about() {
        let missing = || Err(io::ErrorKind::NotFound.into());
        let denied = || Err(io::ErrorKind::PermissionDenied.into());
        assert_eq!(of_ptrace_scope(Ok("0\n".to_owned())).state, State::Warning);
        assert_eq!(of_ptrace_scope(Ok("1\n".to_owned())).state, State::Ok);
        assert_eq!(of_ptrace_scope(missing()).state, State::Ok);
        assert_eq!(of_ptrace_scope(denied()).state, State::Unknown);
    }

    #[test]
    fn hidepid_is_read_from_the_last_mount_of_proc() {
        let mounts = "1 2 0:5 / / rw - ext4 /dev/vda rw\n\
                      24 1 0:22 / /proc rw,nosuid shared:5 - proc proc rw,hidepid=invisible\n";
        assert_eq!(hidepid_in(mounts), Some("invisible"));
        let over = format!("{mounts}25 1 0:22 / /proc rw - proc proc rw\n");
        assert_eq!(hidepid_in(&over), None);
        assert_eq!(
            hidepid_in("24 1 0:22 / /proc rw - proc proc rw,hidepid=0\n"),
            None
        );
        assert_eq!(hidepid_in(""), None);
    }
}
