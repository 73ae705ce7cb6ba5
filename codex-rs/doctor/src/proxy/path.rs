//! Who could put something else in the place of a file: its owner and mode, and those of every directory above it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use codex_server_info::Found;
use rustix::process::geteuid;

use crate::finding::Finding;
use crate::processes::Status;

/// Write permission of the group and of others.
const GROUP_OR_OTHERS: u32 = 0o022;
const OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// A place on a path that somebody else could change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Weak {
    pub(super) path: PathBuf,
    /// Who could, and how.
    pub(super) what: String,
}

/// The first place on the way to `file`, the file included, that users other than `trusted` can change; `None` if
/// there is none. Links are followed before: what counts is where the file really is.
///
/// # Errors
///
/// A directory that cannot be looked at.
pub(super) fn weakness(file: &Path, trusted: &[u32]) -> io::Result<Option<Weak>> {
    let file = fs::canonicalize(file)?;
    let own = fs::metadata(&file)?;
    if let Some(what) = of(&own, trusted, GROUP_OR_OTHERS) {
        return Ok(Some(Weak { path: file, what }));
    }
    for directory in file.ancestors().skip(1) {
        let found = fs::metadata(directory)?;
        // In a sticky directory nobody can rename what is somebody else's (sticky(7)).
        let writers = if found.mode() & STICKY == 0 {
            GROUP_OR_OTHERS
        } else {
            0
        };
        if let Some(what) = of(&found, trusted, writers) {
            let path = directory.to_owned();
            return Ok(Some(Weak { path, what }));
        }
    }
    Ok(None)
}

fn of(found: &Metadata, trusted: &[u32], writers: u32) -> Option<String> {
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if !trusted.contains(&owner) {
        return Some(format!("belongs to user {owner}"));
    }
    match mode & writers {
        0 => None,
        bits if bits & OTHERS != 0 => Some(format!("can be written by every user (mode {mode:o})")),
        _ => Some(format!(
            "can be written by group {} (mode {mode:o})",
            found.gid()
        )),
    }
}

/// Of the server-info file: it may be root's, the proxy's user's or our own.
pub(super) fn of_server_info(
    check: &'static str,
    why: &'static str,
    file: &Path,
    found: &Found,
) -> Finding {
    let mut trusted = vec![0, geteuid().as_raw()];
    if let Ok(status) = Status::of(&found.info.pid.to_string()) {
        trusted.extend(status.users());
    }
    let name = file.display();
    match weakness(file, &trusted) {
        Ok(Some(weak)) => Finding::failed(
            check,
            format!("{} {}", weak.path.display(), weak.what),
            why,
            format!("chown root and chmod go-w {}", weak.path.display()),
        ),
        Ok(None) => of_token(check, why, file, found),
        Err(error) => Finding::unknown(check, format!("{name}: {error}"), why, "sudo codex doctor"),
    }
}

/// A token for callers in it is for those alone who may read the file.
fn of_token(check: &'static str, why: &'static str, file: &Path, found: &Found) -> Finding {
    let mode = fs::metadata(file).map(|found| found.mode() & 0o777);
    let name = file.display();
    match mode {
        Ok(mode) if found.info.client_token.is_some() && mode & 0o004 != 0 => Finding::failed(
            check,
            format!("{name} has a client token in it, and every user can read it (mode {mode:o})"),
            "whoever has the token can call the proxy",
            format!("chmod o-r {name}"),
        ),
        Ok(mode) => Finding::ok(
            check,
            format!("{name} (mode {mode:o}), and nobody else can replace it"),
            why,
        ),
        Err(error) => Finding::unknown(check, format!("{name}: {error}"), why, "sudo codex doctor"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_place_that_others_can_write_is_found_on_the_way() {
        let trusted = [0, geteuid().as_raw()];
        let top = tempfile::tempdir().unwrap();
        let top = top.path().canonicalize().unwrap();
        let directory = top.join("run");
        fs::create_dir(&directory).unwrap();
        let file = directory.join("server-info.json");
        fs::write(&file, "x").unwrap();
        set_mode(&file, 0o644);
        set_mode(&directory, 0o755);
        assert_eq!(weakness(&file, &trusted).unwrap(), None);
        for (path, mode, says) in [
            (&file, 0o666, "by every user (mode 666)"),
            (&directory, 0o777, "by every user (mode 777)"),
            (&directory, 0o775, "by group"),
            (&top, 0o757, "by every user"),
        ] {
            let before = fs::metadata(path).unwrap().permissions();
            set_mode(path, mode);
            let weak = weakness(&file, &trusted).unwrap().unwrap();
            assert_eq!(weak.path, *path);
            assert!(weak.what.contains(says), "{weak:?}");
            fs::set_permissions(path, before).unwrap();
        }
        set_mode(&directory, 0o1777);
        assert_eq!(weakness(&file, &trusted).unwrap(), None);
        let weak = weakness(&file, &[12345]).unwrap().unwrap();
        assert!(weak.what.starts_with("belongs to user"), "{weak:?}");
        // A link to it changes nothing.
        let link = top.join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(weakness(&link, &trusted).unwrap(), None);
    }
}
