//! Standard error that takes nothing any more: the proxy continues, and ends on a signal.

use std::fs::File;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};

use codex_test_support::{Client, Proxy, RefusedPort, assert_openai_error};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::{PROXY, RESPONSES};

/// SIGTERM (signal(7)).
const TERM: i32 = 15;

/// More lines than a terminal takes unread, and than the proxy keeps.
const FAULTS: usize = 2_000;

/// A proxy whose upstream is not there, so that every request is a line, and whose standard
/// error is a terminal; and the other side of the terminal, which only the test reads.
fn on_a_terminal(upstream: &RefusedPort) -> (Proxy, Terminal) {
    let other_side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&other_side).unwrap();
    unlockpt(&other_side).unwrap();
    let path = ptsname(&other_side, Vec::new()).unwrap();
    let script = format!("exec \"$0\" \"$@\" 2> {}", path.to_str().unwrap());
    let proxy = Proxy::builder(PROXY)
        .upstream_url(&upstream.url())
        .under(["/bin/sh", "-c", &script])
        .spawn();
    let terminal = Terminal {
        other_side: File::from(other_side),
        seen: String::new(),
    };
    (proxy, terminal)
}

struct Terminal {
    other_side: File,
    seen: String,
}

impl Terminal {
    /// Reads until `text` stands there, and what is behind it on the line.
    #[track_caller]
    fn read_to(&mut self, text: &str) -> String {
        loop {
            let line = self
                .seen
                .split(text)
                .nth(1)
                .and_then(|rest| rest.split_once("\r\n"));
            if let Some((rest, _)) = line {
                return rest.to_owned();
            }
            self.read_more();
        }
    }

    fn read_more(&mut self) {
        let mut bytes = [0; 4096];
        let count = self.other_side.read(&mut bytes).unwrap();
        self.seen
            .push_str(std::str::from_utf8(&bytes[..count]).unwrap());
    }

    /// Waits for the ready line, which says where the proxy listens.
    #[track_caller]
    fn read_address(&mut self) -> SocketAddr {
        let port = self.read_to("listening on 127.0.0.1:");
        // And for the last line that is only for a terminal.
        self.read_to("codex exec");
        (Ipv4Addr::LOCALHOST, port.parse().unwrap()).into()
    }
}

const DROPPED: &str = " lines dropped: standard error took none";

/// How many requests a line is about: one, those whose lines were dropped, or none.
fn accounts_for(line: &str) -> usize {
    match line.split_once(DROPPED) {
        // Behind what clears the line at the bottom.
        Some((count, _)) => count.rsplit('K').next().unwrap().parse().unwrap(),
        None => line.matches("upstream_failed  upstream_connect").count(),
    }
}

#[track_caller]
fn fail(address: SocketAddr, times: usize) {
    let mut client = Client::connect(address);
    for _ in 0..times {
        let answer = client.post(RESPONSES, &[], "{}").read_answer();
        assert_openai_error(&answer, 502, "upstream_connect");
    }
}

#[test]
fn a_terminal_that_is_not_read_blocks_neither_requests_nor_the_exit() {
    let upstream = RefusedPort::new();
    let (mut proxy, mut terminal) = on_a_terminal(&upstream);
    let address = terminal.read_address();
    fail(address, FAULTS);
    assert!(proxy.is_running());
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn dropped_lines_are_counted_once_standard_error_is_read_again() {
    let upstream = RefusedPort::new();
    let (mut proxy, mut terminal) = on_a_terminal(&upstream);
    let address = terminal.read_address();
    fail(address, FAULTS);
    // Lines go on coming while the terminal is read, so that there can be several gaps.
    let mut accounted_for = 0;
    while accounted_for < FAULTS {
        terminal.read_more();
        accounted_for = terminal.seen.lines().map(accounts_for).sum();
    }
    assert_eq!(accounted_for, FAULTS);
    assert!(terminal.seen.contains(DROPPED), "{}", terminal.seen);
    // And it works as before.
    fail(address, 1);
    terminal.seen.clear();
    terminal.read_to("upstream_failed  upstream_connect");
    proxy.signal(TERM);
    assert_eq!(proxy.wait_exit().code(), Some(0));
}

#[test]
fn the_last_line_of_a_run_that_failed_is_written() {
    for _ in 0..20 {
        let output = codex_test_support::run_to_exit(PROXY, &["--no-such-flag"], &[], b"");
        assert_eq!(output.code, Some(2));
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let args = ["--port", &port, "--upstream-url", "http://127.0.0.1:9/"];
        let output = codex_test_support::run_to_exit(PROXY, &args, &[], b"sk-made-up-key\n");
        assert_eq!(output.code, Some(1));
        assert!(
            output.stderr.contains("Error: failed to bind"),
            "{}",
            output.stderr
        );
    }
}
