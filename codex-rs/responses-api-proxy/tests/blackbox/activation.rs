//! Sockets that a service manager keeps and passes to the proxy.

mod handover;
mod refused;

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use codex_test_support::{
    Answer, Client, MockUpstream, Proxy, ProxyBuilder, Reply, run_to_exit, skipped,
};

use crate::{RESPONSES, in_front_of};

const MANAGER: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/blackbox/activation/manager.py"
);

/// A proxy that is started by the first connection to one of these sockets (`NAME=tcp:127.0.0.1:0`), and again by the
/// next one after it has ended; `None` without Python.
fn activated(builder: ProxyBuilder, sockets: &[&str]) -> Option<Proxy> {
    let has_python = std::process::Command::new("python3")
        .arg("--version")
        .output();
    if !has_python.is_ok_and(|output| output.status.success()) {
        skipped("python3 is not installed");
        return None;
    }
    let mut command = vec!["python3", MANAGER];
    command.extend(sockets);
    command.push("--");
    let proxy = builder.under(command).spawn();
    proxy.wait_for_stderr("manager is there\n");
    Some(proxy)
}

/// The ports that the manager has bound, in their order.
fn ports(proxy: &Proxy) -> Vec<u16> {
    let said = proxy.stderr_so_far();
    let ports = said
        .lines()
        .filter_map(|line| line.strip_prefix("manager has port "));
    ports.map(|port| port.parse().unwrap()).collect()
}

fn ask(port: u16) -> Answer {
    Client::connect(SocketAddr::from(([127, 0, 0, 1], port)))
        .post(RESPONSES, &[], "{}")
        .read_answer()
}

/// What is answered at a Unix socket, head and body.
fn ask_at(path: &Path, request: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    codex_test_support::assert_no_key(answer.as_bytes(), "the answer");
    answer
}

/// What server-info says.
fn info(proxy: &Proxy) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(proxy.info_file()).unwrap()).unwrap()
}

/// Sends a signal to the proxy, which is the manager's child.
fn signal(proxy: &Proxy, name: &str) {
    let pid = info(proxy)["pid"].as_u64().unwrap();
    let kill = format!("kill -{name} {pid}");
    let status = std::process::Command::new("/bin/sh")
        .args(["-c", &kill])
        .status();
    assert!(status.unwrap().success(), "{kill}");
}

#[test]
fn callers_come_in_by_every_socket_that_is_passed() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { dir.path().join(name) };
    let sockets = [
        "proxy=tcp:127.0.0.1:0".to_owned(),
        format!("proxy=unix:{}", at("proxy").display()),
        format!("metrics=unix:{}", at("metrics").display()),
        format!("control=unix:{}", at("control").display()),
    ];
    let sockets: Vec<&str> = sockets.iter().map(String::as_str).collect();
    let builder = in_front_of(&upstream)
        .args(["--sandbox", crate::custody::strictest_sandbox()])
        .args([
            "--allow-user",
            &rustix::process::geteuid().as_raw().to_string(),
        ])
        .server_info();
    let Some(proxy) = activated(builder, &sockets) else {
        return;
    };
    let port = ports(&proxy)[0];
    assert_eq!(ask(port).status, 200);
    let said = proxy.wait_for_stderr("process: ");
    assert!(
        said.contains(&format!("listening on 127.0.0.1:{port}\n")),
        "{said}"
    );
    let unix = format!("listening on unix:{}\n", at("proxy").display());
    assert!(said.contains(&unix), "{said}");
    assert_eq!(info(&proxy)["port"], port);
    assert_eq!(info(&proxy)["socket"], at("proxy").to_str().unwrap());
    let head = "Host: localhost\r\nConnection: close\r\n";
    let request = format!("POST {RESPONSES} HTTP/1.1\r\n{head}Content-Length: 2\r\n\r\n{{}}");
    let answer = ask_at(&at("proxy"), &request);
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    // Pages are kept out as at any other socket.
    let of_a_page = request.replace(head, &format!("{head}Origin: https://evil.example\r\n"));
    let answer = ask_at(&at("proxy"), &of_a_page);
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    let metrics = ask_at(
        &at("metrics"),
        &format!("GET /metrics HTTP/1.1\r\n{head}\r\n"),
    );
    assert!(
        metrics.contains("codex_proxy_upstream_connect_seconds"),
        "{metrics}"
    );
    let control = format!("unix:{}", at("control").display());
    let status = run_to_exit(crate::PROXY, &["status", "--control", &control], &[], b"");
    assert!(
        status.code == Some(0) && status.stdout.contains(&format!("127.0.0.1:{port}")),
        "{} {}",
        status.stdout,
        status.stderr
    );
    assert_eq!(
        info(&proxy)["control_socket"],
        at("control").to_str().unwrap()
    );
    let own = info(&proxy)["pid"].as_u64().unwrap();
    let stopped = stop_within_5s(&control);
    let said = format!("process {own} has ended; ");
    assert!(stopped.starts_with(&said), "{stopped}");
    proxy.wait_for_stderr(&format!("manager saw exit 0 of {own}\n"));
    assert!(
        ["proxy", "metrics", "control"]
            .iter()
            .all(|name| at(name).exists()),
        "who made them removes them"
    );
    assert!(!proxy.info_file().exists());
}

/// What `stop` says of the proxy that it has ended.
#[track_caller]
fn stop_within_5s(control: &str) -> String {
    let stop = ["stop", "--control", control, "--timeout", "5s"];
    let stopped = run_to_exit(crate::PROXY, &stop, &[], b"");
    assert_eq!(stopped.code, Some(0), "{}", stopped.stderr);
    stopped.stdout
}

#[test]
fn a_proxy_that_a_stop_has_started_itself_is_the_one_that_it_waits_for() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let place = format!("unix:{}", dir.path().join("control").display());
    let control = format!("control={place}");
    let sockets = ["proxy=tcp:127.0.0.1:0", &control];
    let Some(proxy) = activated(in_front_of(&upstream), &sockets) else {
        return;
    };
    // When it connects the manager has listened last, and the next time a proxy that has ended.
    for _ in 0..2 {
        let stopped = stop_within_5s(&place);
        let process = stopped.split(' ').nth(1).unwrap();
        proxy.wait_for_stderr(&format!("manager saw exit 0 of {process}\n"));
    }
}

#[test]
fn another_user_is_told_by_the_kernel_as_at_any_other_socket() {
    let upstream = MockUpstream::h1(Reply::responses("hi"));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("proxy");
    let unix = format!("proxy=unix:{}", path.display());
    let builder = in_front_of(&upstream).args(["--allow-user", "54321"]);
    let Some(proxy) = activated(builder, &["proxy=tcp:127.0.0.1:0", &unix]) else {
        return;
    };
    assert_eq!(ask(ports(&proxy)[0]).status, 403);
    let head = "Host: localhost\r\nConnection: close\r\nContent-Length: 2\r\n";
    let answer = ask_at(
        &path,
        &format!("POST {RESPONSES} HTTP/1.1\r\n{head}\r\n{{}}"),
    );
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    assert!(upstream.requests().is_empty());
}
