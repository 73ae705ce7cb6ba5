use std::fs;

use serde_json::Value;

use super::usage::TokenUsage;
use super::*;
use crate::conversation::item::Item;
use crate::transport::redact::Redactor;

fn store(home: &Path) -> Store {
    Store::new(Some(home), "mock", Some(home)).unwrap()
}

fn redactor() -> Redactor {
    Redactor::new(std::iter::once(&b"Bearer sk-secret-1"[..]))
}

fn last() -> Which {
    Which::Last { anywhere: false }
}

/// One whole turn.
fn turn(recorder: &mut Recorder, question: &str, answer: &str) {
    let usage = TokenUsage {
        input_tokens: 3,
        ..TokenUsage::default()
    };
    let question = Item::question(question.to_owned());
    assert_eq!(recorder.asked(&question, "m", &redactor()), None);
    let items = [Item::answer(answer.to_owned())];
    assert_eq!(
        recorder.answered(&items, Outcome::Answered, Some(usage), &redactor()),
        None
    );
}

fn texts(history: &History) -> Vec<&str> {
    history.items.iter().filter_map(Item::text).collect()
}

fn only_file(home: &Path) -> PathBuf {
    let mut path = home.join("sessions");
    for _ in 0..4 {
        let mut entries: Vec<_> = fs::read_dir(&path).unwrap().flatten().collect();
        assert_eq!(entries.len(), 1);
        path = entries.remove(0).path();
    }
    path
}

#[test]
fn a_session_is_kept_and_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let mut recorder = Recorder::new(Some(store.clone()));
    let id = recorder.id().to_owned();
    assert!(!home.path().join("sessions").exists());
    turn(&mut recorder, "one sk-secret-1", "two sk-secret-1");
    // Nobody else goes on with it at the same time.
    assert!(matches!(
        store.resume(&last(), true),
        Err(SessionError::InUse(_))
    ));
    assert!(store.resume(&last(), false).is_ok());
    drop(recorder);
    let (mut recorder, history) = store.resume(&last(), true).unwrap();
    assert_eq!(recorder.id(), id);
    assert_eq!(texts(&history), ["one [key]", "two [key]"]);
    assert_eq!(recorder.total().input_tokens, 3);
    turn(&mut recorder, "three", "four");
    drop(recorder);
    let (recorder, history) = store.resume(&Which::Id(id.clone()), false).unwrap();
    assert_eq!(texts(&history), ["one [key]", "two [key]", "three", "four"]);
    assert_eq!(recorder.total().input_tokens, 6);
    let path = only_file(home.path());
    let name = path.file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with("rollout-20") && name.ends_with(&format!("-{id}.jsonl")));
    let written = fs::read_to_string(&path).unwrap();
    assert!(!written.contains("sk-secret"), "{written}");
    let listed = store.list(5);
    assert_eq!(listed[0].title, "one [key]");
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let home = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::new(Some(store(home.path())));
    turn(&mut recorder, "one", "two");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let file = only_file(home.path());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(mode(file.parent().unwrap()), 0o700);
    assert_eq!(mode(&home.path().join("sessions")), 0o700);
}

#[test]
fn a_turn_that_was_killed_costs_no_other() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let mut recorder = Recorder::new(Some(store.clone()));
    turn(&mut recorder, "one", "two");
    recorder.asked(&Item::question("three".to_owned()), "m", &redactor());
    drop(recorder);
    let path = only_file(home.path());
    let mut written = fs::read(&path).unwrap();
    // In the middle of its last line.
    written.truncate(written.len() - 9);
    fs::write(&path, written).unwrap();
    let (mut recorder, history) = store.resume(&last(), true).unwrap();
    assert_eq!(texts(&history), ["one", "two", "three"]);
    turn(&mut recorder, "four", "five");
    drop(recorder);
    let (_, history) = store.resume(&last(), true).unwrap();
    assert_eq!(texts(&history), ["one", "two", "three", "four", "five"]);
    assert_eq!(history.skipped, 1);
}

#[test]
fn a_question_that_is_taken_back_is_gone() {
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let mut recorder = Recorder::new(Some(store.clone()));
    turn(&mut recorder, "one", "two");
    recorder.asked(&Item::question("three".to_owned()), "m", &redactor());
    recorder.answered(&[], Outcome::Failed, None, &redactor());
    assert_eq!(recorder.taken_back(), None);
    drop(recorder);
    let (_, history) = store.resume(&last(), true).unwrap();
    assert_eq!(texts(&history), ["one", "two"]);
}

#[test]
fn another_provider_or_directory_has_other_sessions() {
    let home = tempfile::tempdir().unwrap();
    let mut recorder = Recorder::new(Some(store(home.path())));
    let id = recorder.id().to_owned();
    turn(&mut recorder, "one", "two");
    drop(recorder);
    let other = Store::new(Some(home.path()), "other", Some(home.path())).unwrap();
    assert!(matches!(
        other.resume(&last(), true),
        Err(SessionError::NoneYet(..))
    ));
    let elsewhere = Store::new(Some(home.path()), "mock", Some(Path::new("/"))).unwrap();
    assert!(matches!(
        elsewhere.resume(&last(), true),
        Err(SessionError::NoneYet(..))
    ));
    let anywhere = Which::Last { anywhere: true };
    assert!(elsewhere.resume(&anywhere, true).is_ok());
    assert!(other.resume(&Which::Id(id), true).is_ok());
    for (which, says) in [
        (Which::Id("x".to_owned()), "x is not the id of a session"),
        (
            Which::Id(Uuid::nil().to_string()),
            "there is no session 00000000",
        ),
    ] {
        let error = other.resume(&which, true).err().unwrap().to_string();
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn a_fork_of_codex_begins_with_what_it_is_a_fork_of() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("sessions/2026/11/28");
    fs::create_dir_all(&directory).unwrap();
    let (base, fork) = (Uuid::now_v7(), Uuid::now_v7());
    let line = |ordinal: u64, kind: &str, payload: Value| {
        serde_json::json!({"timestamp": "t", "ordinal": ordinal, "type": kind, "payload": payload})
            .to_string()
            + "\n"
    };
    let meta = |ordinal, id: Uuid, of: Value| {
        let meta = serde_json::json!({"id": id, "cwd": home.path(), "model_provider": "mock",
            "history_mode": "paginated", "history_base": of});
        line(ordinal, "session_meta", meta)
    };
    let said = |ordinal, text: &str| {
        let content = serde_json::json!([{"type": "input_text", "text": text}]);
        let item = serde_json::json!({"type": "message", "role": "user", "content": content});
        line(ordinal, "response_item", item)
    };
    let write = |id: Uuid, lines: &[String]| {
        let path = directory.join(format!("rollout-2026-11-28T00-00-00-{id}.jsonl"));
        fs::write(path, lines.concat()).unwrap();
    };
    write(
        base,
        &[
            meta(0, base, Value::Null),
            said(1, "one"),
            said(2, "not in the fork"),
        ],
    );
    let of = serde_json::json!({"thread_id": base, "end_ordinal_exclusive": 2});
    write(fork, &[meta(2, fork, of), said(3, "two")]);
    let store = store(home.path());
    let (mut recorder, history) = store.resume(&Which::Id(fork.to_string()), true).unwrap();
    assert_eq!(texts(&history), ["one", "two"]);
    // What is added is numbered as the rest is.
    turn(&mut recorder, "three", "four");
    drop(recorder);
    let path = directory.join(format!("rollout-2026-11-28T00-00-00-{fork}.jsonl"));
    let written = fs::read_to_string(path).unwrap();
    let ordinals: Vec<u64> = written
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["ordinal"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert_eq!(ordinals, (2..2 + ordinals.len() as u64).collect::<Vec<_>>());
    // Two that are forks of each other have no beginning.
    let of = |id: Uuid| serde_json::json!({"thread_id": id, "end_ordinal_exclusive": 9});
    write(base, &[meta(0, base, of(fork))]);
    write(fork, &[meta(0, fork, of(base))]);
    let round = store.resume(&Which::Id(fork.to_string()), true);
    assert!(matches!(round, Err(SessionError::NotASession(_))));
}

#[cfg(unix)]
#[test]
fn what_others_may_have_written_is_refused() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let home = tempfile::tempdir().unwrap();
    let store = store(home.path());
    let mut recorder = Recorder::new(Some(store.clone()));
    let id = Which::Id(recorder.id().to_owned());
    turn(&mut recorder, "one", "two");
    drop(recorder);
    let path = only_file(home.path());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = store.resume(&id, true).err().unwrap().to_string();
    assert!(error.ends_with("everybody can write it"), "{error}");
    assert!(matches!(
        store.resume(&last(), true),
        Err(SessionError::NoneYet(..))
    ));
    // A link is not followed, wherever it leads.
    let elsewhere = home.path().join("elsewhere");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(&path, &elsewhere).unwrap();
    symlink(&elsewhere, &path).unwrap();
    assert!(matches!(
        store.resume(&id, true),
        Err(SessionError::Unreadable(..))
    ));
    fs::remove_file(&path).unwrap();
    rustix::fs::mkfifoat(
        rustix::fs::CWD,
        &path,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
    )
    .unwrap();
    let error = store.resume(&id, true).err().unwrap().to_string();
    assert!(error.ends_with("it is not a regular file"), "{error}");
}

#[test]
fn a_disk_that_takes_nothing_ends_the_recording_only() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("sessions"), "a file in the way").unwrap();
    let mut recorder = Recorder::new(Some(store(home.path())));
    let question = Item::question("one".to_owned());
    let said = recorder.asked(&question, "m", &redactor()).unwrap();
    assert!(
        said.starts_with("this conversation is not kept: could not write"),
        "{said}"
    );
    assert!(!recorder.is_kept());
    assert_eq!(
        recorder.answered(&[], Outcome::Failed, None, &redactor()),
        None
    );
}
