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
    let (generations, _) = Credential::changing("file", &UpstreamUrl::parse(url).unwrap()).unwrap();
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

    fn replace(&self, token: &str, expires: Option<Instant>) -> u64 {
        let credential = self.locked(token).unwrap();
        self.generations.replace(credential, expires).unwrap()
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
    assert_eq!(fixture.replace("sk-first-0000001", None), 1);
    let (first, _) = fixture.header().await;
    assert_eq!(fixture.replace("sk-second-000002", None), 2);
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
    fixture.replace("sk-first-0000001", None);
    let (_, permit) = fixture.header().await;
    fixture.replace("sk-second-000002", None);
    fixture.replace("sk-third-0000003", None);
    // The first, for the sake of the head, and the third.
    assert_eq!(fixture.free(), SLOTS - 2);
    drop(permit);
    assert_eq!(fixture.free(), SLOTS - 1);
    for number in 4..100 {
        assert_eq!(
            fixture.replace(&format!("sk-next-{number:08}"), None),
            number
        );
    }
    assert_eq!(fixture.free(), SLOTS - 1);
}

#[tokio::test]
async fn in_cleartext_the_value_itself_keeps_the_credential() {
    let fixture = fixture("http://127.0.0.1/");
    fixture.replace("sk-first-0000001", None);
    let (value, permit) = fixture.header().await;
    assert!(permit.is_none());
    fixture.replace("sk-second-000002", None);
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
    fixture.replace(tokens[0], None);
    let (_, permit) = fixture.header().await;
    let number = fixture.replace(tokens[1], None);
    // Also if it is gone before the next one comes.
    fixture.generations.withdraw(number);
    fixture.replace(tokens[2], None);
    assert_eq!(
        tokens.map(|token| fixture.looks_for(token)),
        [true, true, true, false]
    );
    drop(permit);
    fixture.replace(tokens[3], None);
    assert_eq!(
        tokens.map(|token| fixture.looks_for(token)),
        [false, false, true, true]
    );
}

#[tokio::test]
async fn the_one_in_force_is_known_when_it_comes_again() {
    let fixture = fixture("https://example.com/");
    fixture.replace("sk-first-0000001", None);
    for (token, is_it) in [
        ("sk-first-0000001", true),
        ("sk-first-0000002", false),
        ("sk-first-00000012", false),
    ] {
        let again = fixture.locked(token).unwrap();
        assert_eq!(fixture.generations.is_in_force(&again), is_it, "{token}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_credential_and_asks_for_it() {
    let fixture = fixture("https://example.com/");
    let (waited, ()) = tokio::join!(fixture.generations.in_force(), async {
        assert!(fixture.generations.wishes().heard().await.needed);
        fixture.replace("sk-first-0000001", None);
    });
    assert_eq!(waited.unwrap().number(), 1);
    fixture.generations.withdraw(1);
    let (failed, ()) = tokio::join!(fixture.generations.in_force(), async {
        assert!(fixture.generations.wishes().heard().await.needed);
        fixture.generations.fail("it was refused".into());
    });
    assert_eq!(failed.err(), Some(unavailable("it was refused")));
    // What failed before says nothing of the next attempt, which nobody makes.
    let failed = fixture.generations.in_force().await;
    assert_eq!(
        failed.err(),
        Some(unavailable("getting a credential takes too long"))
    );
}

#[tokio::test]
async fn one_that_has_expired_is_not_in_force() {
    let fixture = fixture("https://example.com/");
    fixture.replace("sk-first-0000001", Some(Instant::now()));
    let (waited, ()) = tokio::join!(fixture.generations.in_force(), async {
        assert!(fixture.generations.wishes().heard().await.needed);
        let later = Instant::now().checked_add(Duration::from_secs(3600));
        fixture.replace("sk-second-000002", later);
    });
    assert_eq!(waited.unwrap().number(), 2);
}
