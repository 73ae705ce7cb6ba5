use super::*;

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use codex_audit_log::{Finding, LineHash, Totals, Verification};
use codex_test_support::WAIT_TIMEOUT;

use crate::observe::log_writer::{LogTarget, WhenFull};

/// A disk that is full when it is told to be.
#[derive(Clone, Default)]
struct Disk(Arc<Mutex<(Vec<u8>, bool)>>);

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (written, is_full) = &mut *self.0.lock().unwrap();
        if *is_full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // As on a disk that is nearly full.
        let taken = bytes.len().div_ceil(2);
        written.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogTarget for Disk {
    fn reopen(&mut self) -> bool {
        true
    }
}

impl Disk {
    fn set_full(&self, is_full: bool) {
        self.0.lock().unwrap().1 = is_full;
    }

    /// What is written, which has to be a chain.
    fn verified(&self) -> (String, Totals) {
        let written = self.0.lock().unwrap().0.clone();
        let mut verification = Verification::new(None, |finding: &Finding| {
            Err(io::Error::other(finding.to_string()))
        });
        verification.read("log", &written[..]).unwrap();
        let text = String::from_utf8(written).unwrap();
        (text, verification.end().unwrap())
    }
}

fn begin(disk: &Disk, when_full: WhenFull) -> AuditLog {
    let writer = LogWriter::start_with("log", disk.clone(), when_full).unwrap();
    let chain = Chain::behind(LineHash::NONE);
    let (observer, _) = Observer::for_test();
    AuditLog::begin(writer, chain, when_full == WhenFull::Keep, &observer)
}

#[track_caller]
fn wait_until_stuck(log: &AuditLog, is_stuck: bool) {
    let begun = Instant::now();
    while log.writer.stuck().is_set() != is_stuck {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "never: {is_stuck}");
        std::thread::yield_now();
    }
}

fn add(log: &mut AuditLog, number: usize, is_permitted: bool) {
    let line = format!(
        "{{\"number\":{number},\"model\":\"{}\"}}\n",
        "x".repeat(1_000)
    );
    log.add(line.as_bytes(), is_permitted);
}

fn numbers(text: &str) -> Vec<usize> {
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line["number"]
            .as_u64()
            .map(|number| usize::try_from(number).unwrap())
    };
    text.lines().filter_map(line).collect()
}

#[test]
fn the_first_line_names_the_start_and_the_last_one_is_said() {
    let disk = Disk::default();
    let mut log = begin(&disk, WhenFull::Drop);
    for number in 0..500 {
        add(&mut log, number, true);
    }
    log.tend(0);
    log.end();
    let (text, totals) = disk.verified();
    assert_eq!((totals.lines, totals.starts), (501, 1));
    assert_eq!(totals.last, Some(log.chain.last()));
    assert_eq!(log.chain.lines(), 501);
    assert_eq!(numbers(&text), (0..500).collect::<Vec<_>>());
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(first["prev"], "0".repeat(64));
    assert_eq!(first["event"], "start");
    assert_eq!(first["pid"], std::process::id());
    assert_eq!(first["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(first["start"].as_str().unwrap().len(), 10);
}

#[test]
fn what_finds_no_room_is_no_part_of_the_chain_and_counted_in_it() {
    let disk = Disk::default();
    let mut log = begin(&disk, WhenFull::Drop);
    disk.set_full(true);
    let many = 10_000;
    for number in 0..many {
        add(&mut log, number, true);
        if number % 7 == 0 {
            log.tend(0);
        }
    }
    log.tend(3);
    disk.set_full(false);
    wait_until_stuck(&log, false);
    add(&mut log, many, false);
    log.tend(0);
    log.end();
    let (text, totals) = disk.verified();
    let kept = numbers(&text);
    assert!(totals.dropped > 3, "{totals:?}");
    assert_eq!(
        kept.len() + usize::try_from(totals.dropped).unwrap(),
        many + 1 + 3
    );
    assert!(kept.is_sorted());
    assert_eq!(kept.last(), Some(&many));
    assert_eq!((totals.refused, totals.last), (0, Some(log.chain.last())));
}

#[test]
fn where_it_is_required_no_record_is_lost_but_of_those_refused_the_number_is_kept() {
    let disk = Disk::default();
    disk.set_full(true);
    let mut log = begin(&disk, WhenFull::Keep);
    wait_until_stuck(&log, true);
    let many = 10_000;
    for number in 0..many {
        add(&mut log, number, number % 2 == 0);
        if number % 1_000 == 0 {
            log.tend(0);
        }
    }
    log.tend(0);
    disk.set_full(false);
    wait_until_stuck(&log, false);
    add(&mut log, many + 1, false);
    log.tend(0);
    log.end();
    let (text, totals) = disk.verified();
    let mut expected: Vec<usize> = (0..many).step_by(2).collect();
    expected.push(many + 1);
    assert_eq!(numbers(&text), expected);
    assert_eq!(totals.dropped, 0);
    assert_eq!(usize::try_from(totals.refused).unwrap(), many / 2);
    assert_eq!(text.matches(r#""event":"refused""#).count(), 1);
}

#[test]
fn a_log_that_works_again_says_what_is_missing_before_anything_else_happens() {
    let disk = Disk::default();
    disk.set_full(true);
    let mut log = begin(&disk, WhenFull::Keep);
    wait_until_stuck(&log, true);
    add(&mut log, 0, false);
    log.tend(0);
    disk.set_full(false);
    wait_until_stuck(&log, false);
    log.tend(0);
    log.end();
    let (text, totals) = disk.verified();
    assert_eq!((totals.lines, totals.refused), (2, 1), "{text}");
}
