//! Which outcome a record has, by what was noted in it.

use super::*;

fn finished(noted: impl FnOnce(&Record)) -> Finished {
    let (observer, finished) = Observer::for_test();
    let record = OpenRecord::begin(&observer, Some(1001), Some(&Method::POST));
    noted(&record);
    drop(record);
    let mut all = finished.take();
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn refused() -> Outcome {
    Outcome::Refused {
        code: "host_not_allowed",
        cause: "the Host".to_owned(),
    }
}

#[test]
fn a_caller_that_has_no_whole_answer_has_left() {
    assert_eq!(finished(|_| {}).outcome, Outcome::CallerLeft);
    let named = finished(|record| {
        record.note_permitted("/v1/responses", Some("ci"));
        record.note_status(StatusCode::OK);
        record.count_response_bytes(7);
    });
    assert_eq!(named.outcome, Outcome::CallerLeft);
    assert_eq!(named.caller.uid, Some(1001));
    assert_eq!(named.caller.token.as_deref(), Some("ci"));
    assert_eq!((named.status, named.response_bytes), (Some(200), 7));
}

#[test]
fn a_whole_answer_is_complete_or_the_upstream_s_error() {
    for (status, expected) in [
        (StatusCode::OK, Outcome::Complete),
        (StatusCode::NOT_MODIFIED, Outcome::Complete),
        (StatusCode::BAD_REQUEST, Outcome::UpstreamError),
        (StatusCode::SERVICE_UNAVAILABLE, Outcome::UpstreamError),
    ] {
        let outcome = finished(|record| {
            record.note_status(status);
            record.note_whole();
        });
        assert_eq!(outcome.outcome, expected);
    }
}

#[test]
fn what_was_said_stays_although_the_answer_that_says_so_is_whole() {
    let seen = finished(|record| {
        record.conclude(refused());
        record.note_status(StatusCode::FORBIDDEN);
        record.note_whole();
    });
    assert_eq!(seen.outcome, refused());
}

#[test]
fn a_whole_answer_that_says_it_is_not_is_incomplete() {
    for (end, expected) in [
        (FinalEvent::Completed, Outcome::Complete),
        (FinalEvent::Incomplete, Outcome::Incomplete),
        (FinalEvent::Failed, Outcome::Incomplete),
    ] {
        let seen = finished(|record| {
            record.note_status(StatusCode::OK);
            record.note_whole();
            record.note_answer_facts(AnswerFacts {
                end: Some(end),
                ..AnswerFacts::default()
            });
        });
        assert_eq!(seen.outcome, expected);
    }
}

#[test]
fn a_record_is_finished_where_its_task_panics_or_the_drain_ends() {
    let (observer, finished) = Observer::for_test();
    let begin = || OpenRecord::begin(&observer, None, None);
    let record = begin();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _record = record;
        panic!("as a handler might");
    }));
    assert!(panicked.is_err());
    let stalled = begin();
    stalled.note_stalled();
    drop(stalled);
    let (left, whole) = (begin(), begin());
    whole.note_status(StatusCode::OK);
    whole.note_whole();
    observer.end();
    drop((left, whole));
    let outcomes: Vec<Outcome> = finished.take().into_iter().map(|one| one.outcome).collect();
    let expected = [
        Outcome::InternalError,
        Outcome::CallerStalled,
        Outcome::Drained,
        Outcome::Complete,
    ];
    assert_eq!(outcomes, expected);
}
