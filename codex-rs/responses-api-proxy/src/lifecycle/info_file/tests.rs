use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::process::Command;

use super::*;

const LINE: &[u8] = b"{\"port\":4711,\"pid\":1}\n";

fn write(path: &Path) -> Result<InfoFile, Cause> {
    let mut file = InfoFile::open(path, false)?;
    file.write(LINE)?;
    Ok(file)
}

#[test]
fn the_file_holds_one_line_and_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/for/it/info.json");
    let file = write(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), LINE);
    drop(file);
    assert!(!path.exists());
}

#[test]
fn what_stood_there_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    let token = "x".repeat(500);
    fs::write(
        &path,
        format!("{{\"port\":1,\"pid\":2,\"client_token\":\"{token}\"}}"),
    )
    .unwrap();
    let _file = write(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), LINE);
}

#[test]
fn links_are_refused_and_their_targets_kept() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("precious");
    fs::write(&target, "precious").unwrap();
    let soft = dir.path().join("soft");
    symlink(&target, &soft).unwrap();
    assert!(matches!(write(&soft), Err(Cause::Link)));
    let hard = dir.path().join("hard");
    fs::hard_link(&target, &hard).unwrap();
    assert!(matches!(write(&hard), Err(Cause::SeveralNames)));
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_file_that_holds_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let long = format!("{{\"port\":1,\"pid\":2}}{}", " ".repeat(64 * 1024));
    for content in ["precious", "{", "{\"x", "\0", "{\"password\":\"x\"}", &long] {
        let path = dir.path().join("file");
        fs::write(&path, content).unwrap();
        assert!(
            matches!(write(&path), Err(Cause::NotOurs)),
            "{:?}",
            content.get(..20)
        );
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_token_goes_into_a_file_that_nobody_had_open_before() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    fs::write(&path, LINE).unwrap();
    let mut opened_before = File::open(&path).unwrap();
    let mut file = InfoFile::open(&path, true).unwrap();
    file.write(b"token").unwrap();
    let mut seen = Vec::new();
    opened_before.read_to_end(&mut seen).unwrap();
    assert_eq!(seen, LINE);
    assert_eq!(fs::read_to_string(&path).unwrap(), "token");
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(InfoFile::open(Path::new("/dev/null"), true).is_err());
}

#[test]
fn a_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(write(dir.path()), Err(Cause::Io(_))));
}

#[test]
fn a_device_is_written_and_left_alone() {
    drop(write(Path::new("/dev/null")).unwrap());
    assert!(Path::new("/dev/null").exists());
}

#[test]
fn a_file_that_another_proxy_took_over_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    let file = write(&path).unwrap();
    fs::write(&path, "{\"port\":2,\"pid\":33}\n").unwrap();
    drop(file);
    assert!(path.exists());
}

#[test]
fn what_was_made_for_nothing_goes_away_and_what_was_found_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    drop(InfoFile::open(&path, false).unwrap());
    assert!(!path.exists());
    for found in [&b""[..], LINE] {
        fs::write(&path, found).unwrap();
        drop(InfoFile::open(&path, false).unwrap());
        assert_eq!(fs::read(&path).unwrap(), found);
    }
}

#[test]
fn it_is_removed_from_the_directory_where_it_was_made() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("first")).unwrap();
    fs::create_dir(at("second")).unwrap();
    let file = write(&at("first/info.json")).unwrap();
    fs::rename(at("first"), at("moved")).unwrap();
    symlink("second", at("first")).unwrap();
    fs::write(at("second/info.json"), "precious").unwrap();
    drop(file);
    assert!(at("second/info.json").exists());
    assert!(!at("moved/info.json").exists());
}

#[test]
fn a_file_is_ours_root_s_or_of_the_owner_of_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    fs::write(&path, "").unwrap();
    if chown(&path, Some(65534), None).is_err() {
        return;
    }
    assert!(matches!(write(&path), Err(Cause::Foreign(65534))));
    assert_eq!(fs::read(&path).unwrap(), b"");
    // As codex-action has it; but then they can replace it, which is said.
    chown(dir.path(), Some(65534), None).unwrap();
    let file = write(&path).unwrap();
    assert_eq!(file.replaceable_by(), Some(ReplaceableBy::User(65534)));
    drop(file);
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let file = write(&path).unwrap();
    assert_eq!(file.replaceable_by(), Some(ReplaceableBy::EveryUser));
    drop(file);
    chown(dir.path(), Some(0), None).unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(write(&path).unwrap().replaceable_by(), None);
}

#[test]
fn a_fifo_waits_for_its_reader_a_moment_and_no_longer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    assert!(
        Command::new("mkfifo")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    assert!(matches!(write(&path), Err(Cause::NoReader)));
    let reader = {
        let path = path.clone();
        std::thread::spawn(move || fs::read(path).unwrap())
    };
    drop(write(&path).unwrap());
    assert_eq!(reader.join().unwrap(), LINE);
    assert!(path.exists());
}
