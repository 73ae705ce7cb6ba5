//! What a process that is killed leaves in its ledger.
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by a panic")]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use codex_ledger::{Amounts, Ledger, Limit, Measure, Mode, Subject, Window};

/// Names the ledger's file in a process that is to be killed.
const VICTIM: &str = "CODEX_LEDGER_TEST_VICTIM";
/// What the victim holds all the time.
const HELD: u64 = 1_000_000_000;
/// What is settled is in the file so much later.
const SETTLED_FOR: Duration = Duration::from_secs(1);
const LIMIT: Limit = Limit {
    measure: Measure::Tokens,
    most: u64::MAX,
    window: Window::Month,
};

fn subject() -> Arc<[Subject]> {
    [Subject {
        account: "alice".into(),
        limits: [LIMIT].into(),
        concurrent: None,
    }]
    .into()
}

fn open(path: &Path) -> File {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
        .unwrap()
}

fn tokens(tokens: u64) -> Amounts {
    Amounts {
        requests: 1,
        tokens,
        nano_usd: 0,
    }
}

/// Not a test: a process that settles one token after the other, and says so, until it is killed.
#[test]
fn victim() {
    let Some(path) = std::env::var_os(VICTIM) else {
        return;
    };
    let (ledger, mut writer) = Ledger::open(open(Path::new(&path))).unwrap();
    writer.start().unwrap();
    let mut held = ledger.enter(subject(), Mode::Expected).unwrap();
    held.hold(tokens(HELD)).unwrap();
    let mut out = std::io::stdout().lock();
    for settled in 1_u64.. {
        let mut grant = ledger.enter(subject(), Mode::Expected).unwrap();
        grant.hold(tokens(5)).unwrap();
        grant.settle(tokens(1));
        drop(grant);
        writeln!(out, "settled {settled}").unwrap();
        out.flush().unwrap();
        // A pace, so that twenty of them share the machine.
        thread::sleep(Duration::from_millis(2));
    }
}

/// Kills a victim after a time; returns what had been settled a second before that, and all that was.
fn kill_after(path: &Path, time: Duration) -> (u64, u64) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "victim", "--nocapture"])
        .env(VICTIM, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let (sender, receiver) = channel();
    let reader = thread::spawn(move || {
        for line in lines.map_while(Result::ok) {
            if let Some((_, number)) = line.split_once("settled ") {
                sender
                    .send((Instant::now(), number.parse::<u64>().unwrap()))
                    .unwrap();
            }
        }
    });
    let mut heard = vec![receiver.recv().unwrap()];
    let end = Instant::now() + time;
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(one) => heard.push(one),
            Err(RecvTimeoutError::Timeout) => break,
            Err(RecvTimeoutError::Disconnected) => panic!("the victim ended by itself"),
        }
        if Instant::now() >= end {
            break;
        }
    }
    let killed = Instant::now();
    child.kill().unwrap();
    child.wait().unwrap();
    heard.extend(receiver);
    reader.join().unwrap();
    let old = |(at, _): &&(Instant, u64)| *at + SETTLED_FOR <= killed;
    let safe = heard.iter().rfind(old).map_or(0, |(_, number)| *number);
    (safe, heard.last().unwrap().1)
}

#[test]
fn a_process_that_is_killed_loses_nothing_that_was_settled_a_second_ago() {
    let directory = tempfile::tempdir().unwrap();
    thread::scope(|scope| {
        for round in 0..20_u64 {
            let path = directory.path().join(round.to_string());
            scope.spawn(move || {
                let nanos = std::time::SystemTime::UNIX_EPOCH
                    .elapsed()
                    .unwrap()
                    .subsec_nanos();
                let time = Duration::from_millis(round * 150 + u64::from(nanos % 150));
                let (safe, all) = kill_after(&path, time);
                let (ledger, _writer) = Ledger::open(open(&path)).unwrap();
                let spent = ledger.spent("alice", &LIMIT).spent;
                // What was held is charged, if that was known for long enough. One request may have been open, or
                // settled and not heard of.
                let (holds, settled) = (spent / HELD, spent % HELD);
                assert!(
                    (safe..=all + 6).contains(&settled),
                    "after {time:?}: {safe} <= {settled} <= {all}"
                );
                assert!(
                    holds == 1 || (holds == 0 && safe == 0),
                    "after {time:?}: {holds}"
                );
                assert!(
                    time < Duration::from_secs(2) || safe > 0,
                    "after {time:?}: nothing was settled in time"
                );
            });
        }
    });
}
