//! No files and no ports but those named: Landlock (`landlock(7)`).

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, LandlockStatus, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus,
    Scope,
};

use crate::mitigations::Mitigation;
use crate::outer_filter::explain;
use crate::policy::SandboxPolicy;

/// What a filter has to allow for it.
const CALLS: &str = "landlock_create_ruleset, landlock_add_rule and landlock_restrict_self";

/// The newest rights to files this file knows: what a newer kernel adds is not asked for.
const NEWEST: ABI = ABI::V6;

/// Refuses every access to files and every TCP port but what is needed, and abstract sockets and signals
/// outside of this process. Three mitigations, because kernels learnt them one by one.
pub(crate) fn restrict(needs: &SandboxPolicy) -> [Mitigation; 3] {
    [
        mitigation("no files but those needed", "5.13", files(needs)),
        mitigation("no TCP ports but those needed", "6.7", ports(needs)),
        mitigation("no abstract sockets or signals outside", "6.12", scopes()),
    ]
}

fn mitigation(
    name: &'static str,
    since: &str,
    status: Result<RulesetStatus, RulesetError>,
) -> Mitigation {
    let cause = match status {
        Ok(RulesetStatus::FullyEnforced) => None,
        Ok(_) => Some(String::new()),
        Err(error) => Some(format!(": {error}")),
    };
    let outcome = match cause {
        None => Ok(()),
        Some(cause) => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            missing(since, &cause, &version()),
        )),
    };
    Mitigation {
        name: name.into(),
        outcome,
    }
}

/// Why it is not there: since when kernels have it, what the attempt says, and what the kernel says of its version.
fn missing(since: &str, cause: &str, version: &io::Result<u32>) -> String {
    let kernel =
        format!("this kernel has no Landlock for it (Linux {since}), or it is switched off");
    let filter = version.as_ref().err();
    let filter = filter.and_then(|error| Some((error, explain(error, CALLS)?)));
    match filter {
        Some((error, filter)) if error.raw_os_error() == Some(libc::ENOSYS) => {
            format!("{kernel}, {filter}")
        }
        Some((_, filter)) => filter,
        None => format!("{kernel}{cause}"),
    }
}

/// The version of Landlock that the kernel has (`LANDLOCK_CREATE_RULESET_VERSION`). The crate takes every error for
/// a kernel that has none.
fn version() -> io::Result<u32> {
    const ASK_FOR_THE_VERSION: libc::c_uint = 1;
    // SAFETY: with this flag the call takes no structure, and makes nothing.
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0_usize,
            ASK_FOR_THE_VERSION,
        )
    };
    if version < 0 {
        return Err(io::Error::last_os_error());
    }
    u32::try_from(version).map_err(io::Error::other)
}

/// The rights of the first version are all or nothing. Those that came later (renaming between
/// directories, truncating, device control) are taken along where they are there; where they are not the
/// list of system calls refuses what they are about.
fn files(needs: &SandboxPolicy) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .create()?;
    for path in &needs.read {
        // What is not there needs no rule.
        if let Ok(file) = PathFd::new(path) {
            ruleset = ruleset.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
        }
    }
    for directory in &needs.append_in {
        let appending = AccessFs::WriteFile | AccessFs::MakeReg;
        ruleset = ruleset.add_rule(PathBeneath::new(directory, appending))?;
    }
    for directory in &needs.dump_in {
        // A file is renamed by being made under one name and removed under the other.
        let dumping = AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile;
        ruleset = ruleset.add_rule(PathBeneath::new(directory, dumping))?;
    }
    for directory in &needs.remove_from {
        ruleset = ruleset.add_rule(PathBeneath::new(directory, AccessFs::RemoveFile))?;
    }
    let status = ruleset.restrict_self()?.ruleset;
    // Nobody needs one of these. Asked for on their own, so that they weaken nothing where they are not.
    let later = AccessFs::from_all(NEWEST) & !AccessFs::from_all(ABI::V1);
    let later = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(later)?;
    later.create()?.restrict_self()?;
    Ok(status)
}

fn ports(needs: &SandboxPolicy) -> Result<RulesetStatus, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessNet::from_all(NEWEST))?
        .create()?;
    for &port in &needs.connect_to {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

fn scopes() -> Result<RulesetStatus, RulesetError> {
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(NEWEST))?;
    Ok(ruleset.create()?.restrict_self()?.ruleset)
}

/// The version of Landlock that the kernel has (`landlock_create_ruleset(2)`), asked on a thread that ends again;
/// `None` if it has none, or it is switched off.
#[must_use]
pub fn landlock_abi() -> Option<u32> {
    let asked = std::thread::Builder::new().spawn(|| {
        // Asked for by Landlock where one has no capability.
        let _ = rustix::thread::set_no_new_privs(true);
        let ruleset = Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::MakeSock)?;
        Ok::<_, RulesetError>(ruleset.create()?.restrict_self()?.landlock)
    });
    match asked.ok()?.join().ok()?.ok()? {
        LandlockStatus::Available {
            kernel_abi: Some(newer),
            ..
        } => u32::try_from(newer).ok(),
        LandlockStatus::Available { effective_abi, .. } => u32::try_from(effective_abi as i32).ok(),
        LandlockStatus::NotEnabled | LandlockStatus::NotImplemented => None,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn what_is_enforced_in_part_is_not_enforced() {
        let outcome = |status| mitigation("m", "6.7", Ok(status)).outcome;
        outcome(RulesetStatus::FullyEnforced).unwrap();
        for status in [RulesetStatus::PartiallyEnforced, RulesetStatus::NotEnforced] {
            let why = outcome(status).unwrap_err().to_string();
            assert!(why.contains("Linux 6.7"), "{why}");
        }
    }

    #[test]
    fn without_a_filter_it_is_the_kernel_that_has_none() {
        let said = missing("6.7", ": cause", &Ok(3));
        assert!(
            said.contains("Linux 6.7") && said.ends_with(": cause"),
            "{said}"
        );
        let disabled = io::Error::from_raw_os_error(libc::EOPNOTSUPP);
        assert_eq!(missing("6.7", ": cause", &Err(disabled)), said);
    }

    #[test]
    fn the_version_is_the_kernel_s_and_the_thread_that_asks_keeps_its_files() {
        let has_first = restrict_on_a_thread();
        assert_eq!(landlock_abi().is_some_and(|abi| abi >= 1), has_first);
        assert_eq!(version().ok(), landlock_abi());
        assert!(fs::read_dir("/").is_ok());
    }

    /// Whether the first version is there.
    fn restrict_on_a_thread() -> bool {
        let tried = std::thread::spawn(|| {
            let _ = rustix::thread::set_no_new_privs(true);
            let [files, ..] = restrict(&SandboxPolicy::default());
            files.outcome.is_ok()
        });
        tried.join().unwrap()
    }

    #[test]
    fn only_what_is_needed_can_be_reached() {
        let dir = tempfile::tempdir().unwrap();
        let (readable, other) = (dir.path().join("readable"), dir.path().join("other"));
        fs::write(&readable, "r").unwrap();
        fs::write(&other, "o").unwrap();
        let removable = tempfile::tempdir().unwrap();
        let file = removable.path().join("file");
        fs::write(&file, "f").unwrap();
        let logs = tempfile::tempdir().unwrap();
        let log = logs.path().join("log");
        let dumps = tempfile::tempdir().unwrap();
        let [part, dump] = ["part", "dump"].map(|name| dumps.path().join(name));
        let wanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let unwanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let [wanted_at, unwanted_at] = [&wanted, &unwanted].map(|l| l.local_addr().unwrap());
        let needs = SandboxPolicy {
            connect_to_socket: false,
            connect_to: vec![wanted_at.port()],
            read: vec![readable.clone(), "/does/not/exist".into()],
            remove_from: vec![fs::File::open(removable.path()).unwrap()],
            append_in: vec![fs::File::open(logs.path()).unwrap()],
            dump_in: vec![fs::File::open(dumps.path()).unwrap()],
            resolve_names: false,
        };
        // Landlock binds the thread that asks for it and its children.
        let checked = std::thread::spawn(move || {
            // Landlock asks for this unless one has CAP_SYS_ADMIN (landlock(7)).
            for mitigation in crate::harden() {
                mitigation.outcome.unwrap();
            }
            for mitigation in restrict(&needs) {
                if let Err(why) = mitigation.outcome {
                    return Some(why.to_string());
                }
            }
            assert_eq!(fs::read_to_string(&readable).unwrap(), "r");
            assert!(fs::write(&readable, "x").is_err());
            assert!(fs::read_to_string(&other).is_err());
            assert!(fs::read_to_string("/etc/passwd").is_err());
            assert!(fs::read_dir("/").is_err());
            assert!(fs::write(dir.path().join("new"), "n").is_err());
            assert!(fs::remove_file(&other).is_err());
            fs::remove_file(&file).unwrap();
            fs::write(&log, "l").unwrap();
            assert!(fs::read_to_string(&log).is_err());
            assert!(fs::remove_file(&log).is_err());
            assert!(fs::create_dir(logs.path().join("new")).is_err());
            fs::write(&part, "d").unwrap();
            fs::rename(&part, &dump).unwrap();
            assert!(fs::read_to_string(&dump).is_err());
            assert!(fs::read_dir(dumps.path()).is_err());
            assert!(fs::rename(&dump, logs.path().join("dump")).is_err());
            assert!(fs::create_dir(dumps.path().join("new")).is_err());
            assert!(std::os::unix::fs::symlink("/", dumps.path().join("link")).is_err());
            fs::remove_file(&dump).unwrap();
            assert!(TcpStream::connect(wanted_at).is_ok());
            assert!(TcpStream::connect(unwanted_at).is_err());
            assert!(TcpListener::bind("127.0.0.1:0").is_err());
            None
        });
        if let Some(why) = checked.join().unwrap() {
            codex_test_support::skipped(&why);
        }
    }
}
