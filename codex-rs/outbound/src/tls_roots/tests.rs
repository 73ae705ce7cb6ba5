use codex_test_support::{MockUpstream, Reply};

use super::*;

/// Certificates of authorities, each in a file of its own.
fn authorities<const N: usize>() -> [MockUpstream; N] {
    std::array::from_fn(|_| MockUpstream::h2(Reply::silence()))
}

fn from(file: Option<&Path>, directories: Option<&str>) -> Option<Result<(usize, String), String>> {
    let named = named_by(
        file.map(|file| file.as_os_str().to_owned()),
        directories.map(OsString::from).as_ref(),
    );
    let is_named = !named.is_empty();
    is_named.then(|| {
        let joined = joined("the upstream", named).map_err(|error| error.to_string());
        joined.map(|roots| (roots.store.len(), roots.source))
    })
}

#[test]
fn each_variable_that_named_authorities_is_mentioned() {
    let [a, b, c] = authorities();
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    fs::copy(b.ca_file(), dirs[0].path().join("b.pem")).unwrap();
    fs::copy(c.ca_file(), dirs[1].path().join("c.pem")).unwrap();
    let [first, second] = [&dirs[0], &dirs[1]].map(|dir| dir.path().to_str().unwrap());
    let ca = a.ca_file();
    let file = Some(ca.as_path());
    let both = format!("{first}:{second}");
    for (file, directories, count, name) in [
        (file, None, 1, "SSL_CERT_FILE"),
        (None, Some(first), 1, "SSL_CERT_DIR"),
        (None, Some(both.as_str()), 2, "SSL_CERT_DIR"),
        (file, Some(first), 2, "SSL_CERT_FILE and SSL_CERT_DIR"),
        (file, Some(&both), 3, "SSL_CERT_FILE and SSL_CERT_DIR"),
        (file, Some(""), 1, "SSL_CERT_FILE"),
        (Some(Path::new("")), Some(first), 1, "SSL_CERT_DIR"),
    ] {
        let expected = Some(Ok((count, name.to_owned())));
        assert_eq!(from(file, directories), expected);
    }
    // The same one twice counts once.
    fs::copy(a.ca_file(), dirs[0].path().join("a.pem")).unwrap();
    let counted = from(file, Some(first)).unwrap().unwrap();
    assert_eq!(counted.0, 2);
}

#[test]
fn what_is_empty_names_nobody() {
    let empty = Some(Path::new(""));
    for (file, directories) in [
        (None, None),
        (empty, None),
        (None, Some("")),
        (empty, Some("")),
        (empty, Some("::")),
    ] {
        assert_eq!(from(file, directories), None);
    }
}

#[test]
fn what_was_named_and_cannot_be_had_is_refused() {
    let [a] = authorities();
    let ca = a.ca_file();
    let good_dir = ca.parent().and_then(Path::to_str);
    let dir = tempfile::tempdir().unwrap();
    let empty_dir = dir.path().to_str().unwrap();
    let empty_file = tempfile::NamedTempFile::new().unwrap();
    let broken = tempfile::NamedTempFile::new().unwrap();
    let text = fs::read_to_string(&ca).unwrap();
    fs::write(&broken, format!("{text}-----BEGIN CERTIFICATE-----\n!\n")).unwrap();
    let missing = Path::new("/nowhere/ca.pem");
    let with_missing = format!("{}:/nowhere", good_dir.unwrap());
    for (file, directories, says) in [
        (Some(missing), good_dir, "nothing from SSL_CERT_FILE: "),
        (Some(empty_file.path()), good_dir, "no certificate in it"),
        (Some(broken.path()), None, "nothing from SSL_CERT_FILE: "),
        (Some(Path::new("/dev/zero")), None, "not a regular file"),
        (Some(dir.path()), None, "not a regular file"),
        (
            Some(ca.as_path()),
            Some("/nowhere"),
            "nothing from SSL_CERT_DIR: /nowhere: ",
        ),
        (
            None,
            Some(with_missing.as_str()),
            "nothing from SSL_CERT_DIR: /nowhere: ",
        ),
        (Some(missing), None, "No such file"),
        (Some(empty_file.path()), None, "no certificate in it"),
        (None, Some("/nowhere"), "No such file"),
        (
            Some(missing),
            Some(empty_dir),
            "nothing from SSL_CERT_DIR: no certificate in it",
        ),
    ] {
        let said = from(file, directories).unwrap().unwrap_err();
        assert!(said.contains(says), "{file:?} {directories:?}: {said}");
    }
}

#[test]
fn what_cannot_be_had_may_be_passed_over_while_there_is_anything_else() {
    let [a] = authorities();
    let broken = tempfile::NamedTempFile::new().unwrap();
    let text = fs::read_to_string(a.ca_file()).unwrap();
    fs::write(&broken, format!("{text}-----BEGIN CERTIFICATE-----\n!\n")).unwrap();
    let available = |file: &Path, directories: &str| {
        let directories = OsString::from(directories);
        let named = named_by(Some(file.as_os_str().to_owned()), Some(&directories));
        joined("the server", tolerated(named)).map(|roots| roots.store.len())
    };
    assert_eq!(available(&a.ca_file(), "/nowhere").unwrap(), 1);
    assert_eq!(available(broken.path(), "").unwrap(), 1);
    let none = available(Path::new("/nowhere/ca.pem"), "/nowhere").unwrap_err();
    let says = none.to_string();
    assert!(says.contains("to check the server against (nothing from SSL_CERT_FILE: "));
}

#[test]
fn what_a_directory_has_besides_is_mentioned() {
    let [a] = authorities();
    let dir = tempfile::tempdir().unwrap();
    let named = dir.path().to_str();
    let (_, said) = from(Some(&a.ca_file()), named).unwrap().unwrap();
    assert_eq!(
        said,
        "SSL_CERT_FILE (nothing from SSL_CERT_DIR: no certificate in it)"
    );
    fs::copy(a.ca_file(), dir.path().join("a.pem")).unwrap();
    fs::write(
        dir.path().join("odd.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .unwrap();
    fs::write(
        dir.path().join("broken.pem"),
        "-----BEGIN CERTIFICATE-----\n!\n",
    )
    .unwrap();
    let (count, said) = from(None, named).unwrap().unwrap();
    assert_eq!(count, 1);
    assert!(
        said.starts_with("SSL_CERT_DIR (left out: 1 of SSL_CERT_DIR that cannot be used, ")
            && said.contains("broken.pem"),
        "{said}"
    );
}
