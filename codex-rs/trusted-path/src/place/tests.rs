use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};

use super::*;

fn ours() -> Trusted {
    Trusted::by_this_process()
}

fn content(path: &Path) -> Result<String, PathError> {
    let (_, mut file) = Place::find_file(path, &ours())?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(PathError::Io)?;
    Ok(text)
}

/// Whether links can be given to somebody else here.
fn give_away(link: &Path) -> bool {
    lchown(link, Some(65534), None).is_ok()
}

#[test]
fn our_own_links_are_followed_in_every_place() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("real/inner")).unwrap();
    fs::write(at("real/inner/file"), "found").unwrap();
    symlink("real", at("relative")).unwrap();
    symlink(at("real"), at("absolute")).unwrap();
    symlink("relative", at("twice")).unwrap();
    symlink("../inner/file", at("real/inner/link")).unwrap();
    for way in [
        "real/inner/file",
        "relative/inner/file",
        "absolute/inner/file",
        "twice/inner/file",
        "twice/inner/../inner/file",
        "./real/./inner/link",
        "absolute/inner/link",
    ] {
        assert_eq!(content(&at(way)).unwrap(), "found", "{way}");
    }
}

#[test]
fn a_link_of_somebody_else_is_not_followed() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("real")).unwrap();
    fs::write(at("real/file"), "found").unwrap();
    symlink("real", at("planted")).unwrap();
    symlink("file", at("real/planted")).unwrap();
    symlink("planted", at("ours")).unwrap();
    if !give_away(&at("planted")) || !give_away(&at("real/planted")) {
        return;
    }
    for way in ["planted/file", "real/planted", "ours/file"] {
        let error = content(&at(way)).unwrap_err();
        let PathError::ForeignLink(link, owner) = error else {
            panic!("{way}: {error}");
        };
        assert!(link.ends_with("planted"), "{link:?}");
        assert_eq!(owner, 65534);
    }
    // Another who is trusted.
    let trusted = ours().and(65534);
    assert!(Place::find(&at("planted/file"), &trusted, Missing::Refuse).is_ok());
}

#[test]
fn links_in_a_circle_end() {
    let dir = tempfile::tempdir().unwrap();
    symlink("b", dir.path().join("a")).unwrap();
    symlink("a", dir.path().join("b")).unwrap();
    for way in ["a", "a/file"] {
        let error = content(&dir.path().join(way)).unwrap_err();
        let PathError::Io(error) = error else {
            panic!("{error}");
        };
        assert_eq!(error.raw_os_error(), Some(Errno::LOOP.raw_os_error()));
    }
}

#[test]
fn directories_are_made_for_all_to_read_and_one_to_write() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/for/file");
    assert!(Place::find(&path, &ours(), Missing::Refuse).is_err());
    assert!(!dir.path().join("made").exists());
    let place = Place::find(&path, &ours(), Missing::Make).unwrap();
    assert_eq!(place.name(), "file");
    assert_eq!(place.status().unwrap(), None);
    let mode = fs::metadata(dir.path().join("made/for")).unwrap();
    assert_eq!(mode.permissions().mode() & 0o022, 0);
}

#[test]
fn the_directory_is_the_one_that_was_found() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for name in ["first", "second"] {
        fs::create_dir(at(name)).unwrap();
        fs::write(at(name).join("file"), name).unwrap();
    }
    let place = Place::find(&at("first/file"), &ours(), Missing::Refuse).unwrap();
    fs::rename(at("first"), at("elsewhere")).unwrap();
    symlink("second", at("first")).unwrap();
    place.remove().unwrap();
    assert!(at("second/file").exists());
    assert!(!at("elsewhere/file").exists());
}

#[test]
fn a_path_without_a_name_is_none() {
    for path in ["", "/", ".", "..", "/tmp/.."] {
        assert!(
            matches!(
                Place::find(Path::new(path), &ours(), Missing::Refuse),
                Err(PathError::NoName)
            ),
            "{path:?}"
        );
    }
}
