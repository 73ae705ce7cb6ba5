use super::*;

const SOON: Duration = Duration::from_millis(1);

fn pool(room: Room) -> Arc<SlotPool> {
    SlotPool::new(room, true).unwrap().0
}

fn filled(pool: &Arc<SlotPool>, secret: &[u8]) -> Result<LockedCredential, NotACredential> {
    let mut slot = pool.take(SOON).unwrap();
    slot.token_mut()[..secret.len()].copy_from_slice(secret);
    slot.finish(secret.len())
}

#[test]
fn it_has_both_forms_and_the_credential_alone() {
    let credential = filled(&pool(Room::Key), b"sk-abc").unwrap();
    assert_eq!(credential.header(), b"Bearer sk-abc");
    assert_eq!(credential.secret(), b"sk-abc");
    let mut coded = [0; 32];
    let len = huffman_form(b"Bearer sk-abc", &mut coded).unwrap();
    assert_eq!(credential.huffman(), &coded[..len]);
    assert_eq!(credential.header_for_good(), None);
    assert_eq!(format!("{credential:?}"), "LockedCredential");
}

#[test]
fn the_longest_token_of_the_longest_codes_fits_and_one_byte_more_does_not() {
    let pool = pool(Room::Token);
    let longest = [b'~'; LONGEST_TOKEN];
    let credential = filled(&pool, &longest).unwrap();
    assert_eq!(credential.secret(), longest);
    assert_eq!(
        credential.huffman().len(),
        (40 + LONGEST_TOKEN * 13).div_ceil(8)
    );
    let too_long = [b'a'; LONGEST_TOKEN + 1];
    assert!(matches!(
        filled(&pool, &too_long),
        Err(NotACredential::TooLarge)
    ));
}

#[test]
fn what_is_not_a_credential_is_refused_and_its_memory_serves_again() {
    let pool = pool(Room::Key);
    for _ in 0..SLOTS + 1 {
        assert!(matches!(filled(&pool, b""), Err(NotACredential::Missing)));
        for bad in [&b"sk.abc"[..], b"sk abc", b"sk\xff"] {
            let refused = filled(&pool, bad);
            assert!(matches!(refused, Err(NotACredential::ForbiddenCharacter)));
        }
    }
    let tokens = self::pool(Room::Token);
    assert!(filled(&tokens, b"eyJ.a-b_c~d+e/f==").is_ok());
    assert!(filled(&tokens, b"a:b").is_err());
}

#[test]
fn memory_of_a_credential_that_is_gone_is_empty_and_serves_the_next_one() {
    let pool = pool(Room::Key);
    let mut held: Vec<_> = (0..SLOTS)
        .map(|_| filled(&pool, b"sk-held").unwrap())
        .collect();
    let mut slots: Vec<_> = held.iter().map(LockedCredential::slot).collect();
    slots.sort_unstable();
    assert_eq!(slots, [0, 1, 2, 3]);
    assert!(pool.take(SOON).is_none());
    let gone = held.remove(1).slot();
    let mut next = pool.take(SOON).unwrap();
    assert!(next.token_mut().iter().all(|&byte| byte == 0));
    let next = {
        next.token_mut()[0] = b'k';
        next.finish(1).unwrap()
    };
    assert_eq!(next.slot(), gone);
    // Given up half-way, it is as if it had not been taken.
    drop(next);
    let mut given_up = pool.take(SOON).unwrap();
    given_up.token_mut()[..3].copy_from_slice(b"sk-");
    drop(given_up);
    assert!(
        pool.take(SOON)
            .unwrap()
            .token_mut()
            .iter()
            .all(|&byte| byte == 0)
    );
}

#[test]
fn whoever_waits_for_memory_gets_it_when_there_is_some() {
    let pool = pool(Room::Key);
    let mut held: Vec<_> = (0..SLOTS)
        .map(|_| filled(&pool, b"sk-held").unwrap())
        .collect();
    let last = held.pop();
    std::thread::scope(|threads| {
        let waiting = threads.spawn(|| pool.take(Duration::from_secs(60)).is_some());
        drop(last);
        assert!(waiting.join().unwrap());
    });
}
