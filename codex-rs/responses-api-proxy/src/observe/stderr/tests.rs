use super::*;

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

fn report() -> Arc<Report> {
    let lines = Mutex::new(Lines {
        waiting: VecDeque::new(),
        dropped: 0,
        is_writing: false,
        has_writer: true,
        as_json: false,
        repeats: Repeats::new(Duration::from_millis(20)),
        status: Status::default(),
    });
    let changed = Condvar::new();
    Arc::new(Report { lines, changed })
}

/// A writer on a thread of its own, to a place that takes a line when somebody
/// receives it.
fn written(report: &Arc<Report>) -> Receiver<String> {
    let (sender, receiver): (SyncSender<String>, _) = sync_channel(0);
    let report = Arc::clone(report);
    thread::spawn(move || {
        report.write_to(|line| {
            let line = String::from_utf8(line.to_vec()).unwrap();
            // The test is over.
            let _ = sender.send(line);
        });
    });
    receiver
}

fn say(report: &Report, text: &str) {
    report.line(text.into(), |_| panic!("written by whoever had the line"));
}

#[test]
fn lines_that_find_no_room_are_dropped_and_counted_and_nobody_waits() {
    let report = report();
    let before = dropped();
    let count = WAITING + 50;
    for number in 0..count {
        say(&report, &number.to_string());
    }
    assert!(dropped() >= before + 50);
    assert!(!report.flush(Duration::ZERO));
    let written = written(&report);
    for number in 0..WAITING {
        assert_eq!(written.recv().unwrap(), number.to_string());
    }
    let said = "50 lines dropped: standard error took none\n";
    assert_eq!(written.recv().unwrap(), said);
    assert!(report.flush(Duration::from_secs(60)));
    say(&report, "as before");
    assert_eq!(written.recv().unwrap(), "as before");
}

#[test]
fn a_flush_waits_for_the_line_that_is_being_written_and_not_for_ever() {
    let report = report();
    let written = written(&report);
    say(&report, "last");
    assert!(!report.flush(Duration::from_millis(1)));
    let reader = thread::spawn(move || written.recv().unwrap());
    assert!(report.flush(Duration::from_secs(60)));
    assert_eq!(reader.join().unwrap(), "last");
}

#[test]
fn the_line_at_the_bottom_makes_way_for_lines_and_comes_back() {
    let report = report();
    let status = |text: Option<&str>| {
        report.lock().status.wanted = text.map(str::to_owned);
        report.changed.notify_all();
    };
    let written = written(&report);
    status(Some("1 request"));
    assert_eq!(written.recv().unwrap(), "\r\u{1b}[K1 request");
    say(&report, "line\n");
    assert_eq!(written.recv().unwrap(), "\r\u{1b}[Kline\n");
    assert_eq!(written.recv().unwrap(), "\r\u{1b}[K1 request");
    status(None);
    assert_eq!(written.recv().unwrap(), "\r\u{1b}[K");
    say(&report, "line\n");
    assert_eq!(written.recv().unwrap(), "line\n");
    assert!(report.flush(Duration::from_secs(60)));
}

#[test]
fn a_line_is_a_json_object_where_that_is_asked_for() {
    let line = rendered("a \"word\"\u{1b}", true);
    let object: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(object["message"], "a \"word\"\\u{1b}");
    assert_eq!(object["v"], 1);
    assert!(rendered(&"\"".repeat(10_000), true).len() <= LONGEST);
    assert!(rendered(&"ü".repeat(10_000), false).len() <= LONGEST);
}

#[test]
fn without_a_writer_a_line_is_written_by_whoever_has_it() {
    let report = report();
    report.lock().has_writer = false;
    let mut written = Vec::new();
    report.line(b"line".to_vec(), |line| written = line.to_vec());
    assert_eq!(written, b"line");
    assert!(report.flush(Duration::ZERO));
}

/// Nothing else wakes the writer here.
#[test]
fn the_number_of_equal_lines_is_written_although_nothing_else_is() {
    let report = report();
    let written = written(&report);
    say(&report, "first\n");
    assert_eq!(written.recv().unwrap(), "first\n");
    // The writer sleeps by now, or is about to.
    assert!(report.flush(Duration::from_secs(60)));
    let lines = (0..5).filter(|_| report.is_written("no answer"));
    assert_eq!(lines.count(), 3);
    let number = written.recv_timeout(Duration::from_secs(60)).unwrap();
    assert_eq!(number, "and 2 more: no answer\n");
}
