use std::time::Duration;

use super::*;
use crate::config::UpstreamUrl;
use crate::credential::Credential;
use crate::credential::locked::{NotACredential, Room, SLOTS, SlotPool};

const SOON: Duration = Duration::from_millis(1);

/// Credentials that follow each other over TLS, and the memory they take turns in.
struct Fixture {
    generations: &'static Generations,
    pool: Arc<SlotPool>,
}

fn fixture(url: &str) -> Fixture {
    let (generations, _) = Credential::changing("file", &UpstreamUrl::parse(url).unwrap(), None);
    Fixture {
        generations,
        pool: SlotPool::new(Room::Token, true).unwrap().0,
    }
}

impl Fixture {
    fn locked(&self, token: &str) -> Result<LockedCredential, NotACredential> {
        let mut slot = self.pool.take(SOON).unwrap();
        slot.token_mut()[..token.len()].copy_from_slice(token.as_bytes());
        slot.finish(token.len())
    }

    fn replace(&self, token: &str) {
        let credential = self.locked(token).unwrap();
        let number = self.generations.standing().generation + 1;
        self.generations.replace(credential, number).unwrap();
    }

    async fn header(&self) -> (HeaderValue, Option<HeadPermit>) {
        let generation = self.generations.in_force().await.unwrap();
        self.generations.header(&generation).unwrap()
    }

    /// How many places there are for credentials.
    fn free(&self) -> usize {
        let taken: Vec<_> = std::iter::from_fn(|| self.pool.take(SOON)).collect();
        taken.len()
    }

    fn looks_for(&self, text: &str) -> bool {
        use crate::credential::needle::Case;

        let needles = self.generations.known().with(None);
        needles.is_in(text.as_bytes(), Case::Exact)
    }
}

#[tokio::test]
async fn a_request_goes_with_the_one_in_force_and_each_has_a_placeholder_of_its_own() {
    let fixture = fixture("https://example.com/");
    fixture.replace("sk-first-0000001");
    let (first, _) = fixture.header().await;
    fixture.replace("sk-second-000002");
    let (second, _) = fixture.header().await;
    assert_ne!(first, second);
    for value in [first, second] {
        assert!(value.as_bytes().starts_with(b"Bearer "));
        assert!(!value.as_bytes().windows(3).any(|part| part == b"sk-"));
    }
}

#[tokio::test]
async fn the_memory_of_one_that_was_replaced_is_free_when_no_head_needs_it() {
    let fixture = fixture("https://example.com/");
    fixture.replace("sk-first-0000001");
    let (_, permit) = fixture.header().await;
    fixture.replace("sk-second-000002");
    fixture.replace("sk-third-0000003");
    // The first, for the sake of the head, and the third.
    assert_eq!(fixture.free(), SLOTS - 2);
    drop(permit);
    assert_eq!(fixture.free(), SLOTS - 1);
    for number in 4..100 {
        fixture.replace(&format!("sk-next-{number:08}"));
    }
    assert_eq!(fixture.free(), SLOTS - 1);
}

#[tokio::test]
async fn a_credential_whose_time_is_over_is_wiped_with_the_last_head_that_has_it() {
    let fixture = fixture("https://example.com/");
    fixture.replace("sk-first-0000001");
    let (_, permit) = fixture.header().await;
    fixture.generations.expire();
    let none = fixture.generations.in_force().await.map(drop);
    assert!(none.unwrap_err().to_string().contains("--expire-after"));
    assert_eq!(fixture.free(), SLOTS - 1);
    drop(permit);
    assert_eq!(fixture.free(), SLOTS);
    // Nor does another one come into force.
    fixture.replace("sk-second-000002");
    assert!(fixture.generations.in_force().await.is_err());
    assert_eq!(fixture.free(), SLOTS);
    let wiped = fixture.pool.take(SOON).unwrap().token_mut().to_vec();
    assert!(wiped.iter().all(|&byte| byte == 0));
    // An answer to the request that had it is still searched.
    assert!(fixture.looks_for("sk-first-0000001"));
}

#[tokio::test]
async fn in_cleartext_the_value_itself_keeps_the_credential() {
    let fixture = fixture("http://127.0.0.1/");
    fixture.replace("sk-first-0000001");
    let (value, permit) = fixture.header().await;
    assert!(permit.is_none());
    fixture.replace("sk-second-000002");
    assert_eq!(value, "Bearer sk-first-0000001");
    assert_eq!(fixture.free(), SLOTS - 2);
    drop(value);
    assert_eq!(fixture.free(), SLOTS - 1);
}

#[tokio::test]
async fn answers_are_searched_for_every_one_that_may_be_sent_and_the_one_before() {
    let fixture = fixture("https://example.com/");
    let tokens = [
        "sk-first-0000001",
        "sk-second-000002",
        "sk-third-0000003",
        "sk-fourth-000004",
    ];
    fixture.replace(tokens[0]);
    let (_, permit) = fixture.header().await;
    fixture.replace(tokens[1]);
    fixture.replace(tokens[2]);
    assert_eq!(
        tokens.map(|token| fixture.looks_for(token)),
        [true, true, true, false]
    );
    drop(permit);
    // A request that went with the third is not over for long.
    let third = fixture.generations.in_force().await.unwrap();
    let watch = Arc::clone(third.watch());
    drop(third);
    fixture.replace(tokens[3]);
    assert_eq!(
        tokens.map(|token| fixture.looks_for(token)),
        [false, false, true, true]
    );
    fixture.replace("sk-fifth-0000005");
    fixture.replace("sk-sixth-0000006");
    assert!(fixture.looks_for(tokens[2]));
    drop(watch);
    fixture.replace("sk-seventh-00007");
    assert!(!fixture.looks_for(tokens[2]));
}

#[tokio::test]
async fn the_one_in_force_is_known_when_it_comes_again() {
    let fixture = fixture("https://example.com/");
    fixture.replace("sk-first-0000001");
    for (token, is_it) in [
        ("sk-first-0000001", true),
        ("sk-first-0000002", false),
        ("sk-first-00000012", false),
    ] {
        let again = fixture.locked(token).unwrap();
        assert_eq!(fixture.generations.is_in_force(&again), is_it, "{token}");
    }
}

/// Where credentials expire, the refresher says so, and knows why there is no other one.
#[tokio::test]
async fn one_that_is_refused_is_gone_and_the_reason_is_told_when_there_is_no_other() {
    let clock: fn() -> Duration = || Duration::from_secs(1000);
    let refresher: &'static Refresher = Box::leak(Box::new(Refresher::new(clock)));
    let url = UpstreamUrl::parse("https://example.com/").unwrap();
    let (generations, _) = Credential::changing("github", &url, Some(refresher));
    let fixture = Fixture {
        generations,
        pool: SlotPool::new(Room::Token, true).unwrap().0,
    };
    let mut works = async |number| {
        let credential = fixture.locked("sk-first-0000001").unwrap();
        generations.replace(credential, number).unwrap();
        Ok::<_, &str>(Duration::from_secs(3600))
    };
    refresher.first(&mut works).await.unwrap();
    assert_eq!(generations.in_force().await.unwrap().facts().generation, 1);
    assert!(generations.standing().age.is_some());
    generations.refuse(1);
    assert!(generations.standing().age.is_none());
    assert_eq!(fixture.free(), SLOTS);
    let mut fails = async |_| Err::<Duration, _>("it was refused");
    let _ = refresher.first(&mut fails).await;
    let why = generations.in_force().await.err().unwrap();
    assert!(why.to_string().contains("it was refused"), "{why}");
}
