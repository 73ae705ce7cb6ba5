//! Servers of every kind: with TLS, of a cluster, that only follow another one, that are full or forget, and that lie.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::thread;
use std::time::{Duration, Instant};

use codex_test_support::{Certificate, RedisServer, run_to_exit, skipped};

use super::{ask, server, sharing, until_shown, upstream};
use crate::{PROXY, in_front_of};

/// The most that a proxy may grow whatever a server sends, in KiB.
const MOST_GROWTH: u64 = 64 * 1024;

fn tls_server(certificate: Certificate) -> Option<RedisServer> {
    let server = RedisServer::start_with_tls(certificate);
    if server.is_none() {
        skipped("needs redis-server or valkey-server (Debian: redis-server)");
    }
    server
}

/// `budget show` with these variables: its exit code and what it says.
fn show_with(ledger: &str, env: &[(&str, &str)]) -> (Option<i32>, String) {
    let shown = run_to_exit(PROXY, &["budget", "show", "--ledger", ledger], env, b"");
    (shown.code, shown.stdout + &shown.stderr)
}

#[test]
fn tls_is_checked_against_the_authorities_of_the_environment() {
    let Some(server) = tls_server(Certificate::Good) else {
        return;
    };
    let ca = server.ca_file();
    let ca = [("SSL_CERT_FILE", ca.to_str().unwrap())];
    let upstream = upstream();
    let proxy = in_front_of(&upstream)
        .env(ca[0].0, ca[0].1)
        .args(["--budget", "requests=9/month", "--ledger", &server.url()])
        .start();
    assert_eq!(ask(&proxy), 200);
    let named = format!("rediss://localhost:{}", server.port());
    for ledger in [&server.url(), &named] {
        let (code, said) = show_with(ledger, &ca);
        assert!(code == Some(0) && said.contains("of 9 requests"), "{said}");
    }
    let (code, said) = show_with(&server.url(), &[]);
    assert!(code == Some(1) && said.contains("UnknownIssuer"), "{said}");
    // Nothing is said in cleartext where TLS was asked for, and the other way round.
    let cleartext = format!("redis://127.0.0.1:{}", server.port());
    assert_eq!(show_with(&cleartext, &ca).0, Some(1));
}

#[test]
fn a_certificate_for_another_host_is_not_taken() {
    let Some(server) = tls_server(Certificate::WrongName) else {
        return;
    };
    let ca = server.ca_file();
    let (code, said) = show_with(&server.url(), &[("SSL_CERT_FILE", ca.to_str().unwrap())]);
    assert!(
        code == Some(1) && said.contains("not valid for name"),
        "{said}"
    );
}

#[test]
fn in_a_cluster_the_keys_of_a_limit_are_in_one_slot() {
    let Some(server) = server(&["--cluster-enabled", "yes"]) else {
        return;
    };
    assert!(
        server
            .ask("CLUSTER ADDSLOTSRANGE 0 16383")
            .starts_with("+OK")
    );
    let begun = Instant::now();
    while !server.ask("CLUSTER INFO").contains("cluster_state:ok") {
        assert!(begun.elapsed() < Duration::from_secs(60));
        thread::sleep(Duration::from_millis(20));
    }
    let upstream = upstream();
    let limits = [
        "--budget",
        "requests=8/hour",
        "--budget",
        "tokens=900000/24h",
    ];
    let proxy = sharing(&upstream, &server.url(), "requests=9/month", &limits);
    for _ in 0..8 {
        assert_eq!(ask(&proxy), 200);
    }
    assert_eq!(ask(&proxy), 400);
    until_shown(&server.url(), "per month: 8 requests of 9 requests spent");
    until_shown(&server.url(), "per hour: 8 requests of 8 requests spent");
    assert!(
        !proxy.stderr_so_far().contains("away"),
        "{}",
        proxy.stderr_so_far()
    );
    // One that has not all of them says so.
    assert!(
        server
            .ask("CLUSTER DELSLOTSRANGE 0 16383")
            .starts_with("+OK")
    );
    proxy.wait_for_stderr("is away: ");
}

#[test]
fn a_server_that_takes_no_writes_is_named_as_what_it_is() {
    let Some(primary) = server(&[]) else { return };
    let of = format!("127.0.0.1 {}", primary.port());
    let Some(replica) = server(&["--replicaof", &of]) else {
        return;
    };
    let upstream = upstream();
    let limit = "requests=9/month";
    let proxy = sharing(&upstream, &replica.url(), limit, &[]);
    proxy.wait_for_stderr(
        "is away: it is a replica, which takes no writes; name the primary in --ledger",
    );
    assert_eq!(ask(&proxy), 429);
    // It becomes the primary, as after a failover.
    assert!(replica.ask("REPLICAOF NO ONE").starts_with("+OK"));
    proxy.wait_for_stderr("is there again, after");
    assert_eq!(ask(&proxy), 200);
    // And the other way round: what was counted is counted.
    until_shown(&replica.url(), "1 request of 9 requests spent");
}

#[test]
fn a_server_that_is_full_or_may_forget_is_told_of() {
    let Some(full) = server(&["--maxmemory", "1"]) else {
        return;
    };
    let upstream = upstream();
    let limit = "requests=9/month";
    let proxy = sharing(&upstream, &full.url(), limit, &[]);
    proxy.wait_for_stderr("is away: its memory is full; raise maxmemory");
    assert_eq!(ask(&proxy), 429);
    assert!(full.ask("CONFIG SET maxmemory 100mb").starts_with("+OK"));
    proxy.wait_for_stderr("is there again, after");
    assert_eq!(ask(&proxy), 200);
    let forgets = [
        "--maxmemory",
        "100mb",
        "--maxmemory-policy",
        "allkeys-lru",
        "--appendonly",
        "no",
    ];
    let Some(forgetful) = server(&forgets) else {
        return;
    };
    let proxy = sharing(&upstream, &forgetful.url(), limit, &[]);
    proxy.wait_for_stderr("it removes keys when its memory is full (maxmemory-policy allkeys-lru)");
    proxy.wait_for_stderr("it keeps nothing on its disk");
    assert_eq!(ask(&proxy), 200);
}

#[test]
fn keys_that_somebody_else_has_written_are_not_believed() {
    let Some(server) = server(&[]) else { return };
    let upstream = upstream();
    let limit = "requests=9/month";
    let totals = "codex-proxy:1:{everyone|requests|month}:totals";
    assert!(server.ask(&format!("SET {totals} x")).starts_with("+OK"));
    let proxy = sharing(&upstream, &server.url(), limit, &[]);
    proxy.wait_for_stderr("somebody else uses the names of its keys");
    assert_eq!(ask(&proxy), 429);
    // Proxies with another prefix have nothing to do with that.
    let other = ["--ledger-prefix", "other"];
    let apart = sharing(&upstream, &server.url(), limit, &other);
    assert_eq!(ask(&apart), 200);
    let args = [
        "budget",
        "show",
        "--ledger",
        &server.url(),
        other[0],
        other[1],
    ];
    let shown = run_to_exit(PROXY, &args, &[], b"");
    assert!(shown.stdout.contains("of 9 requests"), "{}", shown.stdout);
}

#[test]
fn a_server_that_sends_without_end_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let ledger = format!("redis://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            thread::spawn(move || {
                let mut question = [0; 64];
                let _ = stream.read(&mut question);
                let piece = vec![b'x'; 1 << 20];
                let _ = stream.write_all(b"$500000000\r\n");
                while stream.write_all(&piece).is_ok() {}
            });
        }
    });
    let upstream = upstream();
    let proxy = sharing(&upstream, &ledger, "requests=9/month", &[]);
    let before = proxy.rss_peak_kib();
    proxy.wait_for_stderr("is away: ");
    assert_eq!(ask(&proxy), 429);
    let grown = proxy.rss_peak_kib() - before;
    assert!(grown < MOST_GROWTH, "{grown} KiB");
    let (code, said) = show_with(&ledger, &[]);
    assert!(
        code == Some(1) && said.contains("sends more than"),
        "{said}"
    );
}

#[test]
fn a_password_that_others_can_read_is_refused_by_what_to_type() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    let try_with = |content: &str, mode: u32| {
        fs::write(&file, content).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        let ledger = "redis://127.0.0.1:1";
        let path = file.to_str().unwrap();
        let args = [
            "budget",
            "show",
            "--ledger",
            ledger,
            "--ledger-password-file",
            path,
        ];
        let refused = run_to_exit(PROXY, &args, &[], b"");
        assert!(!refused.stderr.contains("hunter2"), "{}", refused.stderr);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        refused.stderr
    };
    for (content, mode, said) in [
        ("hunter2\n", 0o644, "chmod o-rwx it"),
        ("hunter2\n", 0o620, "chmod go-w it"),
        ("hunter2\nhunter2\n", 0o600, "the password in one line"),
        ("\n", 0o600, "it is empty"),
        ("hunter2\n", 0o600, "cannot connect: Connection refused"),
    ] {
        let stderr = try_with(content, mode);
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
}

#[test]
fn without_such_a_server_there_is_no_thread_for_it() {
    let Some(server) = server(&[]) else { return };
    let upstream = upstream();
    let leases = |proxy: &codex_test_support::Proxy| {
        let tasks = fs::read_dir(format!("/proc/{}/task", proxy.pid())).unwrap();
        tasks
            .filter(|task| {
                let name = task.as_ref().unwrap().path().join("comm");
                fs::read_to_string(name).is_ok_and(|name| name.trim() == "leases")
            })
            .count()
    };
    let limit = ["--budget", "requests=9/minute"];
    assert_eq!(leases(&in_front_of(&upstream).args(limit).start()), 0);
    assert_eq!(leases(&in_front_of(&upstream).start()), 0);
    let proxy = sharing(&upstream, &server.url(), "requests=9/month", &[]);
    assert_eq!(leases(&proxy), 1);
}
