//! No files and no ports but those named: Landlock (`landlock(7)`).

use std::io;

use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, NetPort, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use crate::measures::Measure;
use crate::sandbox::Needs;

/// The newest rules this file knows: what a newer kernel adds is not asked for,
/// what an older one lacks is left out and said.
const NEWEST: ABI = ABI::V6;

/// Refuses every access to files and every TCP port but what is needed, and
/// abstract sockets and signals outside of this process.
pub(crate) fn restrict(needs: &Needs) -> Measure {
    let name = "no files or ports but those needed";
    match apply(needs) {
        Ok(RulesetStatus::FullyEnforced) => Measure {
            name: name.into(),
            outcome: Ok(()),
        },
        Ok(RulesetStatus::PartiallyEnforced) => Measure {
            name: format!("{name} (as far as this kernel can)").into(),
            outcome: Ok(()),
        },
        Ok(_) => Measure {
            name: name.into(),
            outcome: Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "this kernel has no Landlock, or it is switched off",
            )),
        },
        Err(error) => Measure {
            name: name.into(),
            outcome: Err(io::Error::other(error)),
        },
    }
}

fn apply(needs: &Needs) -> Result<RulesetStatus, landlock::RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?;
    for path in &needs.read {
        // What is not there needs no rule.
        if let Ok(file) = PathFd::new(path) {
            ruleset = ruleset.add_rule(PathBeneath::new(file, AccessFs::ReadFile))?;
        }
    }
    for directory in &needs.remove_from {
        ruleset = ruleset.add_rule(PathBeneath::new(directory, AccessFs::RemoveFile))?;
    }
    for &port in &needs.connect_to {
        ruleset = ruleset.add_rule(NetPort::new(port, AccessNet::ConnectTcp))?;
    }
    Ok(ruleset.restrict_self()?.ruleset)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn only_what_is_needed_can_be_reached() {
        let dir = tempfile::tempdir().unwrap();
        let (readable, other) = (dir.path().join("readable"), dir.path().join("other"));
        fs::write(&readable, "r").unwrap();
        fs::write(&other, "o").unwrap();
        let removable = tempfile::tempdir().unwrap();
        let file = removable.path().join("file");
        fs::write(&file, "f").unwrap();
        let wanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let unwanted = TcpListener::bind("127.0.0.1:0").unwrap();
        let [wanted_at, unwanted_at] = [&wanted, &unwanted].map(|l| l.local_addr().unwrap());
        let needs = Needs {
            connect_to_socket: false,
            connect_to: vec![wanted_at.port()],
            read: vec![readable.clone(), "/does/not/exist".into()],
            remove_from: vec![fs::File::open(removable.path()).unwrap()],
            resolve_names: false,
        };
        // Landlock binds the thread that asks for it and its children.
        let checked = std::thread::spawn(move || {
            // Landlock asks for this unless one has CAP_SYS_ADMIN (landlock(7)).
            for measure in crate::harden() {
                measure.outcome.unwrap();
            }
            if let Err(why) = restrict(&needs).outcome {
                return Some(why.to_string());
            }
            assert_eq!(fs::read_to_string(&readable).unwrap(), "r");
            assert!(fs::write(&readable, "x").is_err());
            assert!(fs::read_to_string(&other).is_err());
            assert!(fs::read_to_string("/etc/passwd").is_err());
            assert!(fs::read_dir("/").is_err());
            assert!(fs::write(dir.path().join("new"), "n").is_err());
            assert!(fs::remove_file(&other).is_err());
            fs::remove_file(&file).unwrap();
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
