use super::*;

fn write(path: &Path, port: u16) -> Result<ServerInfo, ServerInfoError> {
    let mut info = ServerInfo::open(path, false)?;
    info.announce(Some(port), None, None)?;
    Ok(info)
}

#[test]
fn the_file_holds_one_line_and_goes_away() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("made/for/it/info.json");
    let info = write(&path, 4711).unwrap();
    let expected = format!("{{\"port\":4711,\"pid\":{}}}\n", std::process::id());
    assert_eq!(fs::read_to_string(&path).unwrap(), expected);
    drop(info);
    assert!(!path.exists());
}

#[test]
fn what_stood_there_is_replaced_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    fs::write(
        &path,
        format!("{{\"port\":1,\"pad\":\"{}\"}}", "x".repeat(500)),
    )
    .unwrap();
    let _info = write(&path, 1).unwrap();
    assert!(fs::read_to_string(&path).unwrap().ends_with("}\n"));
}

#[test]
fn links_are_refused_and_their_targets_kept() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("precious");
    fs::write(&target, "precious").unwrap();
    let soft = dir.path().join("soft");
    std::os::unix::fs::symlink(&target, &soft).unwrap();
    let error = write(&soft, 1).unwrap_err();
    assert!(matches!(error.cause, Cause::Link), "{error}");
    let hard = dir.path().join("hard");
    fs::hard_link(&target, &hard).unwrap();
    let error = write(&hard, 1).unwrap_err();
    assert!(matches!(error.cause, Cause::SeveralNames), "{error}");
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
}

#[test]
fn a_file_that_holds_something_else_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    for content in ["precious", "{", "{\"x", "\0"] {
        let path = dir.path().join("file");
        fs::write(&path, content).unwrap();
        let error = write(&path, 1).unwrap_err();
        assert!(matches!(error.cause, Cause::NotOurs), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
}

#[test]
fn a_token_goes_into_a_file_that_nobody_had_open_before() {
    use std::io::Read;
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    fs::write(&path, "{\"port\":1}").unwrap();
    let mut opened_before = File::open(&path).unwrap();
    let mut info = ServerInfo::open(&path, true).unwrap();
    info.announce(Some(1), None, Some("token")).unwrap();
    let mut seen = String::new();
    opened_before.read_to_string(&mut seen).unwrap();
    assert_eq!(seen, "{\"port\":1}");
    assert!(fs::read_to_string(&path).unwrap().contains("token"));
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(ServerInfo::open(Path::new("/dev/null"), true).is_err());
}

#[test]
fn a_directory_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let error = write(dir.path(), 1).unwrap_err();
    assert!(matches!(error.cause, Cause::Io(_)), "{error}");
}

#[test]
fn a_device_is_written_and_left_alone() {
    drop(write(Path::new("/dev/null"), 1).unwrap());
    assert!(Path::new("/dev/null").exists());
}

#[test]
fn a_file_that_another_proxy_took_over_is_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("info.json");
    let info = write(&path, 1).unwrap();
    fs::write(&path, "{\"port\":2,\"pid\":3}\n").unwrap();
    drop(info);
    assert!(path.exists());
}
