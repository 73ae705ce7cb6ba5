use super::*;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use codex_test_support::WAIT_TIMEOUT;

const LONG: Duration = Duration::from_secs(60);

/// A file that does what it is told: each write or reopening waits for a word of the test, and says what it did.
struct Scripted {
    words: Receiver<Word>,
    done: Sender<String>,
    is_as_it_was: bool,
}

enum Word {
    Take(usize),
    Fail,
    Reopen,
    /// And it is the file that it was.
    ReopenTheSame,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.words.recv().unwrap_or(Word::Fail) {
            Word::Take(most) => {
                let taken = &bytes[..most.min(bytes.len())];
                let _ = self.done.send(String::from_utf8(taken.to_vec()).unwrap());
                Ok(taken.len())
            }
            word => {
                self.is_as_it_was = matches!(word, Word::ReopenTheSame);
                Err(io::ErrorKind::StorageFull.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl LogTarget for Scripted {
    fn reopen(&mut self) -> bool {
        let _ = self.done.send("reopened".to_owned());
        !self.is_as_it_was
    }
}

fn scripted() -> (LogWriter, Sender<Word>, Receiver<String>) {
    scripted_with(WhenFull::Drop)
}

fn scripted_with(when_full: WhenFull) -> (LogWriter, Sender<Word>, Receiver<String>) {
    let ((words, told), (done, seen)) = (channel(), channel());
    let target = Scripted {
        words: told,
        done,
        is_as_it_was: false,
    };
    let writer = LogWriter::start_with("log", target, when_full).unwrap();
    (writer, words, seen)
}

#[track_caller]
fn wait_until_stuck(writer: &LogWriter, is_stuck: bool) {
    let begun = Instant::now();
    while writer.stuck().is_set() != is_stuck {
        assert!(begun.elapsed() < WAIT_TIMEOUT, "never: {is_stuck}");
        thread::yield_now();
    }
}

#[test]
fn a_line_of_which_a_part_is_written_is_finished_first() {
    let (writer, words, seen) = scripted();
    assert!(writer.push(b"one\n", 1));
    for word in [Word::Take(2), Word::Fail, Word::Take(9), Word::Take(9)] {
        words.send(word).unwrap();
    }
    assert_eq!(seen.recv().unwrap(), "on");
    assert!(writer.push(b"two\n", 1));
    assert_eq!(seen.recv().unwrap(), "e\n");
    assert_eq!(seen.recv().unwrap(), "two\n");
    assert!(writer.close(LONG));
}

#[test]
fn a_line_that_is_cut_by_a_rotation_is_whole_in_the_new_file() {
    let (writer, words, seen) = scripted();
    writer.push(b"one\ntwo\n", 2);
    words.send(Word::Take(6)).unwrap();
    assert_eq!(seen.recv().unwrap(), "one\ntw");
    writer.reopen();
    words.send(Word::Reopen).unwrap();
    assert_eq!(seen.recv().unwrap(), "reopened");
    words.send(Word::Take(9)).unwrap();
    assert_eq!(seen.recv().unwrap(), "two\n");
}

#[test]
fn without_room_lines_are_dropped_and_counted_and_nobody_waits() {
    let (writer, words, _seen) = scripted();
    let line = vec![b'x'; MOST_WAITING / 2 + 1];
    // The first may be with the thread already.
    let pushed = (0..5).filter(|_| writer.push(&line, 3)).count();
    assert!((1..=2).contains(&pushed));
    let dropped = 3 * u64::try_from(5 - pushed).unwrap();
    assert_eq!(writer.state().dropped, dropped);
    assert_eq!(writer.state().dropped, 0);
    words.send(Word::Fail).unwrap();
    assert!(!writer.close(LONG));
    assert!(writer.state().failure.is_some());
}

#[test]
fn a_line_that_is_begun_is_not_begun_again_where_the_file_is_the_same() {
    let (writer, words, seen) = scripted();
    writer.push(b"one\n", 1);
    words.send(Word::Take(2)).unwrap();
    assert_eq!(seen.recv().unwrap(), "on");
    writer.reopen();
    words.send(Word::ReopenTheSame).unwrap();
    assert_eq!(seen.recv().unwrap(), "reopened");
    words.send(Word::Take(9)).unwrap();
    assert_eq!(seen.recv().unwrap(), "e\n");
}

#[test]
fn a_log_is_stuck_from_a_write_that_fails_to_one_that_does_not() {
    let (writer, words, seen) = scripted();
    writer.push(b"one\n", 1);
    words.send(Word::Take(1)).unwrap();
    assert_eq!(seen.recv().unwrap(), "o");
    assert!(!writer.stuck().is_set());
    words.send(Word::Fail).unwrap();
    wait_until_stuck(&writer, true);
    words.send(Word::Take(9)).unwrap();
    assert_eq!(seen.recv().unwrap(), "ne\n");
    wait_until_stuck(&writer, false);
}

#[test]
fn where_lines_are_kept_none_is_dropped_and_too_many_are_said_to_be_stuck() {
    let (writer, words, _seen) = scripted_with(WhenFull::Keep);
    let line = vec![b'x'; MOST_WAITING / 2 + 1];
    assert!((0..5).all(|_| writer.push(&line, 1)));
    assert!(writer.stuck().is_set());
    assert_eq!(writer.state().dropped, 0);
    for _ in 0..5 {
        words.send(Word::Take(usize::MAX)).unwrap();
    }
    wait_until_stuck(&writer, false);
}
