use std::io::{Seek, Write};
use std::time::{Duration, Instant};

use super::*;
use crate::clock::{Clock, ManualClock};
use crate::hold::{Mode, Subject};
use crate::ledger::Ledger;
use crate::limit::{Limit, Measure, Window};
use crate::offline;

const DAILY: Limit = Limit {
    measure: Measure::Tokens,
    most: 1_000,
    window: Window::Day,
};
const ROLLING: Limit = Limit {
    measure: Measure::Tokens,
    most: 1_000,
    window: Window::Rolling(Duration::from_secs(86_400)),
};

fn tokens(tokens: u64) -> Amounts {
    Amounts {
        requests: 1,
        tokens,
        nano_usd: 0,
    }
}

fn alice() -> Arc<[Subject]> {
    [Subject {
        account: "alice".into(),
        limits: [DAILY, ROLLING].into(),
        concurrent: None,
    }]
    .into()
}

fn copy_of(file: &File) -> File {
    let mut bytes = Vec::new();
    let mut from = file;
    from.rewind().unwrap();
    std::io::Read::read_to_end(&mut from, &mut bytes).unwrap();
    let mut copy = tempfile::tempfile().unwrap();
    copy.write_all(&bytes).unwrap();
    // Otherwise whoever opens it pays for that.
    copy.sync_all().unwrap();
    copy
}

fn flush(ledger: &Ledger) {
    let batch = ledger.lock().take_batch();
    ledger.0.store.as_ref().unwrap().commit(&batch).unwrap();
}

#[test]
fn what_was_settled_is_there_after_a_crash_and_what_was_held_is_charged() {
    let file = tempfile::tempfile().unwrap();
    let clock = ManualClock::at(1_709_208_000);
    let (ledger, _writer) =
        Ledger::open_with(file.try_clone().unwrap(), Clock::manual(&clock)).unwrap();
    let mut settled = ledger.enter(alice(), Mode::Expected).unwrap();
    settled.hold(tokens(500)).unwrap();
    settled.settle(tokens(70));
    let mut open = ledger.enter(alice(), Mode::Expected).unwrap();
    open.hold(tokens(5)).unwrap();
    flush(&ledger);
    let copy = copy_of(&file);
    open.release();
    flush(&ledger);
    let later = copy_of(&file);
    for (file, sum) in [(copy, 75), (later, 70)] {
        for _ in 0..2 {
            let (again, _writer) =
                Ledger::open_with(file.try_clone().unwrap(), Clock::manual(&clock)).unwrap();
            assert_eq!(again.spent("alice", &DAILY).spent, sum);
            assert_eq!(again.spent("alice", &ROLLING).spent, sum);
        }
    }
}

#[test]
fn a_file_that_is_no_ledger_is_left_alone() {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"not a database at all").unwrap();
    let error = Store::open(file.try_clone().unwrap(), Clock::system().now()).unwrap_err();
    assert!(matches!(error, LedgerError::NotALedger), "{error:?}");
    assert_eq!(file.metadata().unwrap().len(), 21);

    let file = tempfile::tempfile().unwrap();
    let other = open_database(LockedFile::new(file.try_clone().unwrap()).unwrap()).unwrap();
    let transaction = other.begin_write().unwrap();
    transaction
        .open_table(TableDefinition::<'_, u64, u64>::new("other"))
        .unwrap();
    transaction.commit().unwrap();
    drop(other);
    let error = Store::open(file, Clock::system().now()).unwrap_err();
    assert!(matches!(error, LedgerError::NotALedger), "{error:?}");
}

#[test]
fn a_creation_that_was_interrupted_is_begun_anew() {
    let file = tempfile::tempfile().unwrap();
    file.set_len(1_000_000).unwrap();
    Store::open(file, Clock::system().now()).unwrap();
}

#[test]
fn a_damaged_file_is_an_error_and_not_a_panic() {
    let file = tempfile::tempfile().unwrap();
    drop(Ledger::open(file.try_clone().unwrap()).unwrap());
    let length = file.metadata().unwrap().len();
    file.set_len(length / 2).unwrap();
    Store::open(file, Clock::system().now()).unwrap_err();
}

#[test]
fn another_version_is_not_read() {
    let file = tempfile::tempfile().unwrap();
    {
        let store = Store::open(file.try_clone().unwrap(), Clock::system().now()).unwrap();
        let transaction = store.database().unwrap().begin_write().unwrap();
        transaction
            .open_table(META)
            .unwrap()
            .insert("format", FORMAT + 1)
            .unwrap();
        transaction.commit().unwrap();
    }
    let error = Store::open(file, Clock::system().now()).unwrap_err();
    assert!(
        matches!(
            error,
            LedgerError::Version {
                found: 2,
                expected: 1
            }
        ),
        "{error:?}"
    );
}

#[test]
fn one_process_has_a_file_open_and_tools_say_so() {
    let path = tempfile::NamedTempFile::new().unwrap();
    let open = || {
        File::options()
            .read(true)
            .write(true)
            .open(path.path())
            .unwrap()
    };
    let (ledger, writer) = Ledger::open(open()).unwrap();
    assert!(matches!(Ledger::open(open()), Err(LedgerError::Locked)));
    assert!(matches!(offline::read(&open()), Err(LedgerError::Locked)));
    let mut grant = ledger.enter(alice(), Mode::Expected).unwrap();
    grant.settle(tokens(3));
    drop(grant);
    writer.close(Duration::from_secs(60)).unwrap();
    drop(ledger);
    let read_only = File::open(path.path()).unwrap();
    let rows = offline::read(&read_only).unwrap();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert!(
        rows.iter()
            .all(|row| row.account == "alice" && row.amounts == tokens(3))
    );
    assert_eq!(offline::reset(open(), Some("bob")).unwrap(), 0);
    assert_eq!(offline::reset(open(), Some("alice")).unwrap(), 3);
    assert_eq!(offline::read(&read_only).unwrap(), []);
}

#[test]
fn a_full_disk_costs_nothing_that_was_settled() {
    let file = tempfile::tempfile().unwrap();
    let (ledger, mut writer) = Ledger::open(file.try_clone().unwrap()).unwrap();
    writer.start().unwrap();
    let store = ledger.0.store.as_ref().unwrap();
    store.set_full(true);
    let mut grant = ledger.enter(alice(), Mode::Expected).unwrap();
    grant.settle(tokens(3));
    drop(grant);
    let wait_for = |is: fn(Option<String>) -> bool| {
        let start = Instant::now();
        while !is(ledger.fault()) {
            assert!(start.elapsed() < Duration::from_secs(30));
            std::thread::yield_now();
        }
    };
    wait_for(|fault| fault.is_some());
    let mut grant = ledger.enter(alice(), Mode::Expected).unwrap();
    grant.settle(tokens(4));
    drop(grant);
    store.set_full(false);
    wait_for(|fault| fault.is_none());
    writer.close(Duration::from_secs(60)).unwrap();
    drop(ledger);
    let (again, _writer) = Ledger::open(file).unwrap();
    assert_eq!(again.spent("alice", &DAILY).spent, 7);
}

#[test]
fn rows_of_windows_that_are_long_over_go() {
    let file = tempfile::tempfile().unwrap();
    let clock = ManualClock::at(1_709_208_000);
    let (ledger, _writer) = Ledger::open_with(file, Clock::manual(&clock)).unwrap();
    let mut grant = ledger.enter(alice(), Mode::Expected).unwrap();
    grant.settle(tokens(3));
    drop(grant);
    flush(&ledger);
    let store = ledger.0.store.as_ref().unwrap();
    for (days, left) in [(0, 3), (2, 3), (3, 1), (60, 0)] {
        clock.advance(Duration::from_secs(86_400 * days));
        while !store
            .purge(&mut Purge::default(), Clock::manual(&clock).now())
            .unwrap()
        {}
        assert_eq!(store.rows().unwrap().len(), left, "after {days} more days");
    }
}

#[test]
fn a_file_with_many_rows_opens_at_once_also_after_a_crash() {
    let rows: usize = std::env::var("LEDGER_ROWS").map_or(20_000, |rows| rows.parse().unwrap());
    let file = tempfile::tempfile().unwrap();
    let now = Clock::system().now();
    let store = Store::open(file.try_clone().unwrap(), now).unwrap();
    let mut batch = Batch::default();
    for number in 0..rows {
        let mut tally = Tally::new(Window::Day, now);
        tally.charge(tokens(number as u64));
        batch
            .accounts
            .push((format!("everyone:{number:08}").into(), vec![tally]));
    }
    store.commit(&batch).unwrap();
    let copy = copy_of(&file);
    let begin = Instant::now();
    let (ledger, _writer) = Ledger::open(copy).unwrap();
    let took = begin.elapsed();
    let load = Instant::now();
    assert_eq!(
        ledger
            .spent(&format!("everyone:{:08}", rows - 1), &DAILY)
            .spent,
        rows as u64 - 1
    );
    let loaded = load.elapsed();
    assert!(
        took < Duration::from_millis(if cfg!(debug_assertions) { 2_000 } else { 100 }),
        "{rows} rows opened in {took:?}, an account in {loaded:?}"
    );
}

#[test]
fn an_account_that_was_put_out_of_memory_is_read_again_and_one_that_was_preloaded_stays() {
    let file = tempfile::tempfile().unwrap();
    let (ledger, _writer) = Ledger::open(file).unwrap();
    let mut grant = ledger.enter(alice(), Mode::Expected).unwrap();
    grant.settle(tokens(1_000));
    drop(grant);
    ledger.preload(["bob".into()]).unwrap();
    let now = Clock::system().now();
    ledger.lock().sweep(now, true);
    assert_eq!(
        ledger.lock().accounts.len(),
        2,
        "what is not in the file stays"
    );
    flush(&ledger);
    ledger.lock().sweep(now, true);
    assert!(ledger.lock().accounts.keys().eq([&Arc::<str>::from("bob")]));
    ledger.enter(alice(), Mode::Expected).unwrap_err();
}

#[test]
fn an_account_that_cannot_be_read_may_not_spend() {
    let file = tempfile::tempfile().unwrap();
    let (ledger, _writer) = Ledger::open(file).unwrap();
    ledger.0.store.as_ref().unwrap().slot().take();
    let refused = ledger.enter(alice(), Mode::Expected).unwrap_err();
    assert_eq!(refused.what, crate::Which::Unreadable);
    assert!(ledger.fault().is_some());
}

#[test]
fn a_file_that_is_mostly_empty_becomes_small_when_it_is_closed() {
    let file = tempfile::tempfile().unwrap();
    let (ledger, writer) = Ledger::open(file.try_clone().unwrap()).unwrap();
    let store = ledger.0.store.as_ref().unwrap();
    let mut batch = Batch::default();
    for number in 0..20_000 {
        let tally = Tally::new(Window::Day, Clock::system().now());
        batch
            .accounts
            .push((number.to_string().into(), vec![tally]));
    }
    store.commit(&batch).unwrap();
    assert_eq!(store.reset(None).unwrap(), 20_000);
    let before = file.metadata().unwrap().len();
    writer.close(Duration::from_secs(60)).unwrap();
    let after = file.metadata().unwrap().len();
    assert!(
        before > 2 * 1024 * 1024 && after <= before / 2,
        "{before} {after}"
    );
    drop(ledger);
    Ledger::open(file).unwrap();
}
