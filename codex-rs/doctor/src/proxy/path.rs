//! Who could put something else in the place of a file: its owner and mode, and those of every directory above it.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use codex_server_info::Found;
use rustix::process::geteuid;

use crate::finding::Finding;
use crate::processes::Status;

/// Write permission of the group and of others.
const GROUP_OR_OTHERS: u32 = 0o022;
const OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

/// As many as Linux follows on the way to one file.
const MOST_LINKS: usize = 40;

/// A place on a path that somebody else could change.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Weak {
    pub(super) path: PathBuf,
    /// Who could, and how.
    pub(super) what: String,
}

/// The first place on the way to `file`, the file included, that users other than `trusted` can change; `None` if
/// there is none. Links count with the directories that they are in: whoever can replace one decides where it leads.
///
/// # Errors
///
/// A directory that cannot be looked at.
pub(super) fn weakness(file: &Path, trusted: &[u32]) -> io::Result<Option<Weak>> {
    let way = Way::to(file)?;
    let own = fs::metadata(&way.file)?;
    if let Some(what) = of(&own, trusted, GROUP_OR_OTHERS) {
        return Ok(Some(Weak {
            path: way.file,
            what,
        }));
    }
    for link in way.links {
        // Its mode says nothing; in a sticky directory its owner can replace it.
        if let Some(what) = of(&fs::symlink_metadata(&link)?, trusted, 0) {
            return Ok(Some(Weak { path: link, what }));
        }
    }
    for directory in way.directories {
        let found = fs::metadata(&directory)?;
        // In a sticky directory nobody can rename what is somebody else's (sticky(7)).
        let writers = if found.mode() & STICKY == 0 {
            GROUP_OR_OTHERS
        } else {
            0
        };
        if let Some(what) = of(&found, trusted, writers) {
            return Ok(Some(Weak {
                path: directory,
                what,
            }));
        }
    }
    Ok(None)
}

/// How the kernel gets to a file (path_resolution(7)).
struct Way {
    /// Where the file really is.
    file: PathBuf,
    /// In which something is looked up, the nearest to the file first.
    directories: Vec<PathBuf>,
    /// That are followed.
    links: Vec<PathBuf>,
}

impl Way {
    fn to(file: &Path) -> io::Result<Self> {
        let file = std::path::absolute(file)?;
        let mut left: Vec<OsString> = names_of(&file);
        let mut at = PathBuf::from("/");
        let (mut directories, mut links) = (Vec::new(), Vec::new());
        while let Some(name) = left.pop() {
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            if !directories.contains(&at) {
                directories.push(at.clone());
            }
            if !fs::symlink_metadata(&next)?.is_symlink() {
                at = next;
                continue;
            }
            let target = fs::read_link(&next)?;
            links.push(next);
            if links.len() > MOST_LINKS {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            if target.is_absolute() {
                at = PathBuf::from("/");
            }
            left.extend(names_of(&target));
        }
        directories.reverse();
        Ok(Self {
            file: at,
            directories,
            links,
        })
    }
}

/// The names in a path, the last one first.
fn names_of(path: &Path) -> Vec<OsString> {
    let names = path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        _ => None,
    });
    let mut names: Vec<OsString> = names.collect();
    names.reverse();
    names
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
        // Unless others can put another one there.
        let open = top.join("open");
        fs::create_dir(&open).unwrap();
        set_mode(&open, 0o777);
        for (name, target) in [
            ("a", &file),
            ("b", &link),
            ("c", &PathBuf::from("../run/server-info.json")),
        ] {
            let link = open.join(name);
            std::os::unix::fs::symlink(target, &link).unwrap();
            let weak = weakness(&link, &trusted).unwrap().unwrap();
            assert_eq!(weak.path, open);
        }
        let round = top.join("round");
        std::os::unix::fs::symlink(&round, &round).unwrap();
        assert!(weakness(&round, &trusted).is_err());
    }
}
