//! Files that are read again on SIGHUP from inside the sandbox, and what has to stay readable for that.

use std::path::{Path, PathBuf};

use crate::startup::sandbox::SHARED_DIRECTORIES;

/// What has to be readable to read a file again: the file, and nothing else. Where it is alone in a
/// directory that is the directory, because an editor replaces the file by a new one; elsewhere it has to
/// be rewritten in place.
pub(super) fn readable_for(file: &Path) -> Option<PathBuf> {
    let file = std::fs::canonicalize(file).ok()?;
    Some(directory_of_its_own(&file).unwrap_or(file))
}

/// The directory of a file, if nothing else is in it, or nothing but what is no secret: files that everybody may read,
/// where root alone makes more of them.
fn directory_of_its_own(file: &Path) -> Option<PathBuf> {
    let directory = file.parent()?;
    if SHARED_DIRECTORIES.map(Path::new).contains(&directory) {
        return None;
    }
    let others_are_open = is_roots_alone(directory);
    let may_be_there = |entry: std::io::Result<std::fs::DirEntry>| {
        entry.is_ok_and(|entry| {
            Some(entry.file_name().as_os_str()) == file.file_name()
                || others_are_open && is_open_file(&entry)
        })
    };
    let suits = std::fs::read_dir(directory).is_ok_and(|mut entries| entries.all(may_be_there));
    suits.then(|| directory.to_owned())
}

#[cfg(unix)]
fn is_roots_alone(directory: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;

    std::fs::metadata(directory).is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0)
}

#[cfg(unix)]
fn is_open_file(entry: &std::fs::DirEntry) -> bool {
    use std::os::unix::fs::MetadataExt;

    entry
        .metadata()
        .is_ok_and(|found| found.is_file() && found.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
fn is_roots_alone(_directory: &Path) -> bool {
    false
}

#[cfg(not(unix))]
fn is_open_file(_entry: &std::fs::DirEntry) -> bool {
    false
}

/// Whether a new file in the place of this one will be found inside the sandbox.
pub(crate) fn may_be_replaced(file: &Path) -> bool {
    std::fs::canonicalize(file).is_ok_and(|file| directory_of_its_own(&file).is_some())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_that_is_not_alone_is_readable_alone() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let file = home.join("tokens");
        fs::write(&file, "").unwrap();
        assert_eq!(readable_for(&file), Some(home.clone()));
        assert!(may_be_replaced(&file));
        for beside in ["tokens~", ".profile", "openai.key"] {
            let beside = home.join(beside);
            fs::write(&beside, "").unwrap();
            fs::set_permissions(&beside, Permissions::from_mode(0o600)).unwrap();
            assert_eq!(readable_for(&file), Some(file.clone()));
            assert!(!may_be_replaced(&file));
            fs::remove_file(&beside).unwrap();
        }
        fs::create_dir(home.join("src")).unwrap();
        assert_eq!(readable_for(&file), Some(file.clone()));
        // A link to it changes nothing.
        let own = home.join("own");
        fs::create_dir(&own).unwrap();
        std::os::unix::fs::symlink(&file, own.join("tokens")).unwrap();
        assert_eq!(readable_for(&own.join("tokens")), Some(file));
        assert_eq!(readable_for(&home.join("nowhere")), None);
    }

    #[test]
    fn what_everybody_may_read_can_be_beside_it_where_root_alone_makes_files() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let [policy, options] = ["policy.toml", "options"].map(|name| home.join(name));
        fs::write(&policy, "").unwrap();
        fs::write(&options, "").unwrap();
        fs::set_permissions(&options, Permissions::from_mode(0o644)).unwrap();
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(may_be_replaced(&policy), is_root);
        fs::set_permissions(&home, Permissions::from_mode(0o775)).unwrap();
        assert!(!may_be_replaced(&policy));
    }
}
