//! `top` on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use codex_test_support::{Gate, WAIT_TIMEOUT, assert_no_key};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

use super::{Socket, begin_with, streaming};
use crate::{PROXY, in_front_of};

fn cells(number: u16) -> NonZero<u16> {
    NonZero::new(number).unwrap()
}

/// A terminal, seen from where its user sits.
struct Terminal {
    user: File,
    /// So that it stays a terminal when the program has left.
    program: File,
    screen: vt100::Parser,
    before: Termios,
}

impl Terminal {
    fn new(rows: u16, columns: u16) -> (Self, String) {
        let user: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&user).unwrap();
        unlockpt(&user).unwrap();
        let path = ptsname(&user, Vec::new()).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let program = File::options().read(true).write(true).open(&path).unwrap();
        let terminal = Self {
            before: tcgetattr(&program).unwrap(),
            user: File::from(user),
            program,
            screen: vt100::Parser::new(cells(rows), cells(columns), 0),
        };
        terminal.set_size(rows, columns);
        (terminal, path)
    }

    fn set_size(&self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&self.user, size).unwrap();
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        self.screen
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        self.set_size(rows, columns);
    }

    fn press(&mut self, keys: &str) {
        self.user.write_all(keys.as_bytes()).unwrap();
    }

    fn rows(&self) -> Vec<String> {
        let screen = self.screen.screen();
        let (_, columns) = screen.size();
        screen.rows(0, columns.get()).collect()
    }

    /// Reads until the screen is as it should be.
    #[track_caller]
    fn wait_for(&mut self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let started = Instant::now();
        while !is_there(self) {
            let rows = self.rows().join("\n");
            assert!(started.elapsed() < WAIT_TIMEOUT, "no {what}:\n{rows}");
            let limit = Timespec {
                tv_sec: 0,
                tv_nsec: 50_000_000,
            };
            let mut polled = [PollFd::new(&self.user, PollFlags::IN)];
            if poll(&mut polled, Some(&limit)).unwrap() > 0 {
                let mut piece = [0; 4096];
                let length = self.user.read(&mut piece).unwrap();
                assert_no_key(&piece[..length], "the screen");
                self.screen.process(&piece[..length]);
            }
        }
    }

    /// It is as it was before once the program has ended: how that did.
    #[track_caller]
    fn assert_restored_by(&mut self, program: &mut Child) -> Option<i32> {
        self.wait_for("end of the other screen", |terminal| {
            let screen = terminal.screen.screen();
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        let code = program.wait().unwrap().code();
        let after = tcgetattr(&self.program).unwrap();
        for (name, before, after) in [
            (
                "input",
                self.before.input_modes.bits(),
                after.input_modes.bits(),
            ),
            (
                "output",
                self.before.output_modes.bits(),
                after.output_modes.bits(),
            ),
            (
                "local",
                self.before.local_modes.bits(),
                after.local_modes.bits(),
            ),
        ] {
            assert_eq!(before, after, "{name} modes");
        }
        code
    }
}

/// `top` with a terminal of its own.
fn start(terminal: &str, socket: &Socket) -> Child {
    let script = format!("exec setsid --ctty \"$0\" \"$@\" < {terminal} > {terminal} 2>&1");
    Command::new("/bin/sh")
        .args(["-c", &script, PROXY, "top", "--control", &socket.place()])
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn it_shows_what_goes_on_in_any_size_and_gives_the_terminal_back() {
    let gate = Gate::new();
    let upstream = streaming(&gate);
    let socket = Socket::new();
    let proxy = socket.on(in_front_of(&upstream)).start();
    let mut client = begin_with(&proxy, "gpt-\u{1b}[2J5");
    let (mut terminal, path) = Terminal::new(24, 100);
    let mut top = start(&path, &socket);
    terminal.wait_for("stream", |terminal| {
        let rows = terminal.rows();
        rows.first()
            .is_some_and(|row| row.starts_with("codex-proxy serving"))
            && rows
                .iter()
                .any(|row| row.contains("gpt-\\u{1b}[2J5") && row.contains("streaming"))
            && rows
                .last()
                .is_some_and(|row| row.starts_with("q quit  by age"))
    });
    assert!(terminal.screen.screen().alternate_screen());
    terminal.press("t");
    terminal.wait_for("another order", |terminal| {
        terminal
            .rows()
            .last()
            .is_some_and(|row| row.contains("by tokens"))
    });
    terminal.resize(10, 40);
    terminal.wait_for("small screen", |terminal| {
        let rows = terminal.rows();
        rows.last()
            .is_some_and(|row| row.starts_with("q quit  by tokens  keys"))
            && rows.iter().any(|row| row.starts_with("CALLER    MODEL"))
    });
    gate.release();
    while client.read_body_some().is_some() {}
    terminal.wait_for("end of the stream", |terminal| {
        terminal
            .rows()
            .iter()
            .any(|row| row.starts_with("0 in flight"))
    });
    terminal.press("q");
    assert_eq!(terminal.assert_restored_by(&mut top), Some(0));
}

#[test]
fn control_c_escape_and_signals_give_the_terminal_back_too() {
    let upstream = codex_test_support::MockUpstream::h1(codex_test_support::Reply::responses("hi"));
    let socket = Socket::new();
    let _proxy = socket.on(in_front_of(&upstream)).start();
    for end in ["\u{3}", "\u{1b}", "TERM", "HUP", "INT"] {
        let (mut terminal, path) = Terminal::new(24, 80);
        let mut top = start(&path, &socket);
        terminal.wait_for("screen", |terminal| {
            terminal
                .rows()
                .last()
                .is_some_and(|row| row.starts_with("q quit"))
        });
        let code = if end.len() == 1 {
            terminal.press(end);
            Some(0)
        } else {
            let kill = format!("kill -{end} {}", top.id());
            Command::new("/bin/sh")
                .args(["-c", &kill])
                .status()
                .unwrap();
            // By the signal's own action.
            None
        };
        assert_eq!(terminal.assert_restored_by(&mut top), code, "{end:?}");
    }
}

#[test]
fn without_a_terminal_it_says_what_to_type() {
    let upstream = codex_test_support::MockUpstream::h1(codex_test_support::Reply::responses("hi"));
    let socket = Socket::new();
    let _proxy = socket.on(in_front_of(&upstream)).start();
    let output = socket.run("top", &[]);
    assert_eq!(output.code, Some(1));
    assert!(
        output.stderr.contains("`status` prints the same once"),
        "{}",
        output.stderr
    );
}
