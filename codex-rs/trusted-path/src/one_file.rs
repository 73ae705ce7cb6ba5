//! Whether two paths lead to one file.

use std::path::Path;

#[cfg(unix)]
use crate::place::{Missing, Place};
#[cfg(unix)]
use crate::trusted::Trusted;

/// Whether both paths are of one file or directory, which need not be there: the same name in the same directory, or
/// two names of what is there (hard links). A link in the place of the last name is not followed. False if one of them
/// leads nowhere.
#[must_use]
pub fn lead_to_one_file(one: &Path, other: &Path) -> bool {
    one == other || are_one_place(one, other)
}

#[cfg(unix)]
fn are_one_place(one: &Path, other: &Path) -> bool {
    let trusted = Trusted::by_this_process();
    let find = |path| Place::find(path, &trusted, Missing::Refuse);
    match (find(one), find(other)) {
        (Ok(one), Ok(other)) => one.is_same_as(&other).unwrap_or(false),
        _ => false,
    }
}

/// Files cannot be compared here.
#[cfg(not(unix))]
fn are_one_place(_one: &Path, _other: &Path) -> bool {
    false
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_found_to_be_one_whatever_it_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("real")).unwrap();
        symlink("real", at("link")).unwrap();
        fs::write(at("real/there"), "").unwrap();
        fs::hard_link(at("real/there"), at("second")).unwrap();
        for (one, other, is_one) in [
            ("real/new", "link/new", true),
            ("real/new", "real/../real/./new", true),
            ("real/there", "second", true),
            ("real", "real/.", true),
            ("nowhere/new", "nowhere/new", true),
            ("real/new", "real/newer", false),
            ("real/new", "new", false),
            ("nowhere/new", "elsewhere/new", false),
        ] {
            assert_eq!(
                lead_to_one_file(&at(one), &at(other)),
                is_one,
                "{one} {other}"
            );
        }
    }
}
