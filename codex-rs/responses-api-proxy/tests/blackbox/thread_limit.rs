//! A user that may have no further threads (RLIMIT_NPROC).

use std::process::Command;

use codex_test_support::{MockUpstream, Proxy, Reply};

use crate::RESPONSES;
use crate::custody::{copy_of, is_root, open_to_all, skipped};
use crate::resolving::assert_works;

/// Becomes a user that has no other processes: threads of all of them count together (setrlimit(2)).
const AS_ONE_OF_ITS_OWN: [&str; 6] = [
    "setpriv",
    "--reuid",
    "54321",
    "--regid",
    "54321",
    "--clear-groups",
];

/// No look-up, and nothing else that a request takes, needs a thread that is not there yet.
#[test]
fn a_user_at_its_thread_limit_is_served_or_gets_an_error_at_the_start() {
    if !is_root() || Command::new("prlimit").arg("--version").output().is_err() {
        return skipped("only root can start the proxy as another user, within limits of prlimit");
    }
    let dir = tempfile::tempdir().unwrap();
    open_to_all(dir.path());
    let Some(binary) = copy_of("codex-responses-api-proxy", dir.path()) else {
        return skipped("the binary cannot be copied");
    };
    let upstream = MockUpstream::tls_h1(Reply::responses("hi").header("connection", "close"));
    let ca = dir.path().join("ca.pem");
    upstream.copy_ca(&ca).unwrap();
    let builder = |limit: &'static str| {
        Proxy::builder(&binary)
            .upstream_url(&upstream.url_for("https", "localhost", RESPONSES))
            .env("SSL_CERT_FILE", &ca)
            .under(AS_ONE_OF_ITS_OWN.into_iter().chain(["prlimit", limit]))
    };
    // Where there is none at the start, the start says so.
    for arguments in [&["--threads", "4"][..], &["--threads", "1"]] {
        let mut refused = builder("--nproc=1").args(arguments).spawn();
        assert_eq!(
            refused.wait_exit().code(),
            Some(1),
            "{}",
            refused.stderr_so_far()
        );
        let said = refused.stderr_so_far();
        assert!(
            said.starts_with("Error: the thread that looks up names"),
            "{said}"
        );
        assert!(said.contains("(ulimit -u)"), "{said}");
    }
    // Without a name and with one thread none is needed.
    let plain = MockUpstream::h1(Reply::responses("hi"));
    let proxy = Proxy::builder(&binary)
        .upstream(&plain)
        .args(["--threads", "1", "--upstream-user", "root"])
        .under(
            AS_ONE_OF_ITS_OWN
                .into_iter()
                .chain(["prlimit", "--nproc=1"]),
        )
        .start();
    assert_works(&proxy, "no thread, no name");
    drop(proxy);
    // Where they run out later, requests are answered all the same: others of the user take them all.
    let proxy = builder("--nproc=20").args(["--threads", "2"]).start();
    let mut others: Vec<_> = (0..20)
        .map(|_| {
            let [setpriv, identity @ ..] = AS_ONE_OF_ITS_OWN;
            let mut other = Command::new(setpriv);
            other.args(identity).args(["sleep", "60"]).spawn().unwrap()
        })
        .collect();
    for _ in 0..3 {
        assert_works(&proxy, "no thread to be had any more");
    }
    assert!(!proxy.stderr_so_far().contains("internal error"));
    for other in &mut others {
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
