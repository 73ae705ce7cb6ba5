//! What other processes could do to this one before it was hardened.
//!
//! From `execve(2)` to [`harden`](crate::harden) a process is as open as its program file is readable:
//! the kernel makes a process "dumpable" (`PR_SET_DUMPABLE(2const)`) unless its user may execute the
//! file and not read it. Whoever opened `/proc/PID/mem` in that time, or attached by `ptrace(2)`, keeps
//! what they got, whatever is forbidden later.
//!
//! Running the program again from a sealed copy of itself (`memfd_create(2)`) would not help: a process
//! that was entered in that time decides what is run again.

use std::fmt;
use std::io;
#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use rustix::process::{DumpableBehavior, dumpable_behavior};

/// How other processes could have got into this one before it was hardened.
#[derive(Debug)]
pub enum Exposure {
    /// The user it runs as can read its program file, so that user's other processes could open it.
    #[cfg(target_os = "linux")]
    Readable(Program),
    /// The user cannot read the file, but whoever started it could: with a capability of root that was
    /// given up only by `execve(2)`, as setpriv(1) does.
    #[cfg(target_os = "linux")]
    Starter,
    /// The file cannot be read but belongs to the user, who can replace it or make it readable.
    #[cfg(target_os = "linux")]
    Own(Program),
    /// It was started by root of a user namespace (`user_namespaces(7)`), who is somebody else outside.
    #[cfg(target_os = "linux")]
    RootOfNamespace,
    /// The system does not say.
    Unknown(io::Error),
}

/// A program file, as far as a way out depends on it.
#[cfg(target_os = "linux")]
#[derive(Debug)]
pub struct Program {
    path: PathBuf,
    owner: u32,
}

impl fmt::Display for Exposure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(target_os = "linux")]
            Self::Readable(program) => write!(
                f,
                "other processes of this user could enter this one while it started, because they \
                 can read its program file; {program}"
            ),
            #[cfg(target_os = "linux")]
            Self::Starter => f.write_str(
                "other processes of this user could enter this one while it started, because it was \
                 started with capabilities of root; start it as root with --user NAME, or with a \
                 shell between: setpriv ... sh -c 'exec \"$0\" \"$@\"' codex ...",
            ),
            #[cfg(target_os = "linux")]
            Self::Own(program) => write!(
                f,
                "other processes of this user can replace the program file, which is theirs; {program}"
            ),
            #[cfg(target_os = "linux")]
            Self::RootOfNamespace => f.write_str(
                "it was started by root of a user namespace, and the user who made the namespace \
                 could enter it; start it outside, or in the namespace by a user who cannot read the \
                 program file (chmod 711)",
            ),
            Self::Unknown(cause) => write!(
                f,
                "whether other processes could enter this one while it started is not known ({cause})"
            ),
        }
    }
}

#[cfg(target_os = "linux")]
impl fmt::Display for Program {
    /// The way out, to be typed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        if self.owner == 0 {
            return write!(f, "sudo chmod 711 {path}");
        }
        let name = self.path.file_name().unwrap_or_default().display();
        write!(
            f,
            "sudo install -o root -g root -m 0711 {path} /usr/local/bin/{name} and start that"
        )
    }
}

/// Whether others could get in before now; `None` if only root could. Call it before
/// [`harden`](crate::harden), which changes what it looks at.
#[cfg(target_os = "linux")]
#[must_use]
pub fn exposure_at_start() -> Option<Exposure> {
    look().unwrap_or_else(|error| Some(Exposure::Unknown(error)))
}

/// Not known here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn exposure_at_start() -> Option<Exposure> {
    Some(Exposure::Unknown(io::ErrorKind::Unsupported.into()))
}

#[cfg(target_os = "linux")]
fn look() -> io::Result<Option<Exposure>> {
    // Not `DumpableReadableOnlyByRoot` (proc_sys_fs(5), suid_dumpable).
    let is_open = dumpable_behavior()? == DumpableBehavior::Dumpable;
    if users()?.iter().all(|&user| user == 0) {
        let is_exposed = is_open && !all_users_are_mapped(&read("/proc/self/uid_map")?);
        return Ok(is_exposed.then_some(Exposure::RootOfNamespace));
    }
    let program = Program {
        path: std::env::current_exe()?,
        owner: std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self/exe")?),
    };
    let is_own = users()?.contains(&program.owner);
    let is_readable = std::fs::File::open("/proc/self/exe").is_ok();
    Ok(if is_open && is_readable {
        Some(Exposure::Readable(program))
    } else if is_own {
        Some(Exposure::Own(program))
    } else {
        is_open.then_some(Exposure::Starter)
    })
}

/// Real, effective and saved (`getresuid(2)`).
#[cfg(target_os = "linux")]
fn users() -> io::Result<[u32; 3]> {
    let users = nix::unistd::getresuid()?;
    Ok([users.real, users.effective, users.saved].map(nix::unistd::Uid::as_raw))
}

/// Whether `uid_map` is that of the first user namespace, where root is root: nobody else can map all
/// 4,294,967,295 users (`user_namespaces(7)`).
#[cfg(target_os = "linux")]
fn all_users_are_mapped(uid_map: &str) -> bool {
    uid_map.split_whitespace().eq(["0", "0", "4294967295"])
}

/// The process that traces this one (`ptrace(2)`), as far as this PID namespace shows it. After
/// [`harden`](crate::harden) only root can still attach.
///
/// # Errors
///
/// When `/proc/self/status` cannot be read or has no such line: then it is not known.
#[cfg(target_os = "linux")]
pub fn tracer() -> io::Result<Option<u32>> {
    let status = read("/proc/self/status")?;
    match tracer_in(&status) {
        Some(0) => Ok(None),
        Some(pid) => Ok(Some(pid)),
        None => Err(io::Error::other("/proc/self/status names no TracerPid")),
    }
}

/// Not known here.
///
/// # Errors
///
/// Always.
#[cfg(not(target_os = "linux"))]
pub fn tracer() -> io::Result<Option<u32>> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(target_os = "linux")]
fn tracer_in(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|l| l.strip_prefix("TracerPid:"))?;
    line.trim().parse().ok()
}

#[cfg(target_os = "linux")]
fn read(file: impl AsRef<Path>) -> io::Result<String> {
    let file = file.as_ref();
    std::fs::read_to_string(file)
        .map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", file.display())))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn root_is_root_only_where_all_users_are_mapped() {
        assert!(all_users_are_mapped("         0          0 4294967295\n"));
        for mapped in [
            "0 1000 1\n",
            "0 0 1\n",
            "0 100000 65536\n",
            "0 1000 1\n1 100000 65536\n",
            "0 0 4294967294\n",
            "",
        ] {
            assert!(!all_users_are_mapped(mapped), "{mapped:?}");
        }
    }

    #[test]
    fn a_tracer_is_named_and_none_is_not_taken_for_one() {
        assert_eq!(tracer_in("Name:\tx\nTracerPid:\t0\n"), Some(0));
        assert_eq!(tracer_in("TracerPid:\t4711\nUid:\t0\n"), Some(4711));
        for unclear in [
            "",
            "Name:\tTracerPid:\t0\n",
            "TracerPid:\t\n",
            "TracerPid:\t-1\n",
        ] {
            assert_eq!(tracer_in(unclear), None, "{unclear:?}");
        }
        assert_eq!(tracer().unwrap(), None);
    }

    #[test]
    fn the_way_out_depends_on_whose_the_file_is() {
        let program = |owner| Program {
            path: "/opt/bin/codex".into(),
            owner,
        };
        let of_root = Exposure::Readable(program(0)).to_string();
        assert!(of_root.ends_with("; sudo chmod 711 /opt/bin/codex"));
        let of_user = Exposure::Own(program(1000)).to_string();
        assert!(
            of_user.contains("install -o root -g root -m 0711 /opt/bin/codex /usr/local/bin/codex")
        );
    }
}
