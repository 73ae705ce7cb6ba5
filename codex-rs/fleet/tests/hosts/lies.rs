//! A server that does not say the truth, and keys whose names mean harm.

use std::sync::Arc;

use codex_fleet::{Keeper, Notice, StoreError, Terms};
use codex_ledger::{Amounts, Clock, Down, Ledger, Limit, Measure, Mode, Subject, Window};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;

use crate::host::{TTL, limit, server, store_on, tokens};

/// Keeps one limit of 100 tokens with a server that answers each report by these numbers.
async fn with_answer(numbers: [i128; 6]) -> (Ledger, Result<(), StoreError>) {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("socket");
    let listener = UnixListener::bind(&socket).unwrap();
    let lying = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut question = vec![0; 64 * 1024];
        loop {
            let read = stream.read(&mut question).await.unwrap();
            if read == 0 {
                return;
            }
            let is_report = String::from_utf8_lossy(&question[..read]).contains("EVALSHA");
            let answer = if is_report {
                let numbers = numbers.map(|number| format!(":{number}\r\n"));
                format!("*6\r\n{}", numbers.concat())
            } else {
                "$0\r\n\r\n".to_owned()
            };
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    let ledger = Ledger::shared(Clock::system(), TTL, Down::Refuse, || {});
    ledger.lease_ahead("total".into(), &limit(100));
    let terms = Terms {
        ttl: TTL,
        is_strict: true,
    };
    let store = store_on(socket);
    let mut keeper = Keeper::new(
        ledger.clone(),
        store,
        terms,
        Arc::default(),
        |_: Notice<'_>| {},
    );
    let begun = keeper.begin().await;
    lying.abort();
    (ledger, begun)
}

fn admits(ledger: &Ledger, estimate: u64) -> bool {
    let subject = Subject {
        account: "total".into(),
        limits: [limit(100)].into(),
        concurrent: None,
    };
    let Ok(mut grant) = ledger.enter([subject].into(), Mode::Strict) else {
        return false;
    };
    grant.hold(tokens(estimate)).is_ok()
}

const NOW: i128 = 1_800_000_000_000_000;

#[tokio::test]
async fn whatever_a_server_grants_is_no_more_than_the_limit() {
    let (ledger, begun) = with_answer([NOW, 1 << 60, 0, 0, 1, 1 << 60]).await;
    begun.unwrap();
    assert!(!admits(&ledger, 101));
    assert!(admits(&ledger, 100));
    // What is spent counts, also if it is more than there is.
    let (ledger, begun) = with_answer([NOW, 1 << 60, i128::from(i64::MAX), 0, 1, 0]).await;
    begun.unwrap();
    assert!(!admits(&ledger, 1));
}

#[tokio::test]
async fn numbers_that_mean_nothing_are_not_taken() {
    for numbers in [
        [-1, 1, 0, 0, 1, 0],
        [NOW, -1, 0, 0, 1, 0],
        [NOW, 1, -(1 << 62), 0, 1, 0],
        [NOW, 1, 0, -1, 1, 0],
        [i128::from(i64::MAX), 1, 0, 0, 1, 0],
        // Not a number of the protocol.
        [NOW, 1 << 90, 0, 0, 1, 0],
    ] {
        let (ledger, begun) = with_answer(numbers).await;
        assert!(begun.is_err(), "{numbers:?}");
        assert!(!admits(&ledger, 1), "{numbers:?}");
    }
}

#[tokio::test]
async fn accounts_whose_names_look_like_keys_are_kept_apart() {
    let Some(server) = server() else { return };
    let names = [
        "token:a",
        "token:a|tokens|month",
        "token:a}:totals",
        "token:{a",
        "token:a\r\nFLUSHALL",
        "token:a\0",
        "token:*",
        "token:%61",
        "token:a'); redis.call('FLUSHALL') --",
    ];
    let ledger = Ledger::shared(Clock::system(), TTL, Down::Refuse, || {});
    for (place, name) in names.into_iter().enumerate() {
        let amount = u64::try_from(place).unwrap() + 1;
        let limit = limit(100);
        ledger.lease_ahead(name.into(), &limit);
        let subject = Subject {
            account: name.into(),
            limits: [limit].into(),
            concurrent: None,
        };
        // What was under way is charged wherever it comes from.
        let mut grant = ledger.enter([subject].into(), Mode::Expected).unwrap();
        let _ = grant.hold(tokens(amount));
        grant.settle(tokens(amount));
    }
    let terms = Terms {
        ttl: TTL,
        is_strict: false,
    };
    let store = store_on(server.socket());
    let mut keeper = Keeper::new(ledger, store, terms, Arc::default(), |_: Notice<'_>| {});
    keeper.begin().await.unwrap();
    let mut totals = store_on(server.socket()).totals().await.unwrap();
    totals.sort_by_key(|total| total.spent);
    let found: Vec<_> = totals
        .iter()
        .map(|total| (total.account.as_str(), total.spent))
        .collect();
    let expected: Vec<_> = names.into_iter().zip(1..).collect();
    assert_eq!(found, expected);
    // One of them is reset, and no other.
    let reset = store_on(server.socket()).reset(Some(names[0])).await;
    assert_eq!(reset.unwrap(), 1);
    let totals = store_on(server.socket()).totals().await.unwrap();
    assert_eq!(totals.iter().filter(|total| total.spent == 0).count(), 1);
}

#[tokio::test]
async fn amounts_beyond_what_the_server_can_count_stay_at_the_most() {
    let Some(server) = server() else { return };
    let huge = Limit {
        measure: Measure::Usd,
        most: u64::MAX,
        window: Window::Day,
    };
    let ledger = Ledger::shared(Clock::system(), TTL, Down::Allow, || {});
    ledger.lease_ahead("total".into(), &huge);
    ledger.set_away(true);
    for _ in 0..3 {
        let subject = Subject {
            account: "total".into(),
            limits: [huge].into(),
            concurrent: None,
        };
        let mut grant = ledger.enter([subject].into(), Mode::Expected).unwrap();
        let amounts = Amounts {
            requests: 1,
            tokens: 0,
            nano_usd: u64::MAX,
        };
        grant.hold(amounts).unwrap();
        grant.settle(amounts);
    }
    let terms = Terms {
        ttl: TTL,
        is_strict: false,
    };
    let store = store_on(server.socket());
    let mut keeper = Keeper::new(ledger, store, terms, Arc::default(), |_: Notice<'_>| {});
    for _ in 0..2 {
        keeper.begin().await.unwrap();
    }
    let totals = store_on(server.socket()).totals().await.unwrap();
    assert_eq!((totals[0].spent, totals[0].leased), (1 << 53, 0));
}
