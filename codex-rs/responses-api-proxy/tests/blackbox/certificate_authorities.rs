//! Which certificate authorities the upstream's certificate is checked against.

use std::path::Path;

use codex_test_support::{MockUpstream, Reply, TEST_KEY, run_to_exit};

use crate::{PROXY, ask, in_front_of};

#[test]
fn the_certificate_authorities_are_named_and_needed() {
    let upstream = MockUpstream::h2(Reply::responses("hi"));
    let proxy = in_front_of(&upstream).start();
    proxy.wait_for_stderr("TLS checked against 1 authorities from SSL_CERT_FILE");
    let output = run_to_exit(
        PROXY,
        &[],
        &[("SSL_CERT_FILE", "/nonexistent")],
        TEST_KEY.as_bytes(),
    );
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("no certificate authorities"),
        "{}",
        output.stderr
    );
}

#[test]
fn certificate_authorities_of_both_variables_are_trusted_and_named() {
    let [upstream, other] = [(); 2].map(|()| MockUpstream::h2(Reply::responses("hi")));
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(other.ca_file(), dir.path().join("other.pem")).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let nothing = "SSL_CERT_FILE (nothing from SSL_CERT_DIR: no certificate in it)";
    for (directory, says) in [
        (
            dir.path(),
            "2 authorities from SSL_CERT_FILE and SSL_CERT_DIR\n",
        ),
        (empty.path(), &format!("1 authorities from {nothing}\n")),
        (Path::new(""), "1 authorities from SSL_CERT_FILE\n"),
    ] {
        let proxy = crate::in_front_of(&upstream)
            .env("SSL_CERT_DIR", directory)
            .start();
        let banner = proxy.wait_for_stderr("process: ");
        assert!(banner.contains(says), "{banner}");
        assert_eq!(ask(&proxy).status, 200);
    }
    // Both count: the one that only the directory has is trusted.
    let proxy = crate::in_front_of(&other)
        .env("SSL_CERT_FILE", upstream.ca_file())
        .env("SSL_CERT_DIR", dir.path())
        .start();
    assert_eq!(ask(&proxy).status, 200);
    // An empty variable counts as unset: the authorities of the system are used, where it has any.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let [of_system, of_nobody] = [&[][..], &[("SSL_CERT_FILE", ""), ("SSL_CERT_DIR", "")]]
        .map(|env| run_to_exit(PROXY, &["--port", &port], env, TEST_KEY.as_bytes()));
    assert_eq!(of_system, of_nobody);
    let output = run_to_exit(
        PROXY,
        &[],
        &[("SSL_CERT_FILE", "/nowhere"), ("SSL_CERT_DIR", "/nowhere")],
        TEST_KEY.as_bytes(),
    );
    for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        assert!(
            output.stderr.contains(&format!("nothing from {name}: ")),
            "{}",
            output.stderr
        );
    }
}
