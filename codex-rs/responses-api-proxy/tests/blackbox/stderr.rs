//! Standard error that nobody reads.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use codex_test_support::{Client, RefusedPort, TEST_KEY, assert_openai_error};
use rexpect::process::{PtyProcess, Signal, WaitStatus};

use crate::{PROXY, RESPONSES};

/// Waits for the file that names the port; standard error is not to be read.
fn port_in(file: &Path) -> u16 {
    let begun = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let port = text.split("\"port\":").nth(1);
        if let Some(port) = port.and_then(|rest| rest.split(',').next()) {
            return port.parse().unwrap();
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "no server-info");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Every request is answered by a fault, and every fault is a line: far more than a terminal takes.
#[test]
fn a_terminal_that_nobody_reads_stops_neither_answers_nor_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let info = dir.path().join("info.json");
    let key = dir.path().join("key");
    std::fs::write(&key, TEST_KEY).unwrap();
    let nobody = RefusedPort::new();
    let mut command = Command::new("/bin/sh");
    command.args([
        "-c",
        &format!(
            "exec {PROXY} --upstream-url {} --server-info {} < {}",
            nobody.url(),
            info.display(),
            key.display()
        ),
    ]);
    let mut terminal = PtyProcess::new(command).unwrap();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port_in(&info)));
    let mut client = Client::connect(address);
    for _ in 0..1_000 {
        let answer = client.post(RESPONSES, &[], "{}").read_answer();
        assert_openai_error(&answer, 502, "upstream_connect");
    }
    terminal.signal(Signal::SIGTERM).unwrap();
    let begun = Instant::now();
    while !matches!(terminal.status(), Some(WaitStatus::Exited(_, 0))) {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "SIGTERM had no effect"
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}
