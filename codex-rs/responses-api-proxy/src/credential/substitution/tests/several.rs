//! Credentials that follow each other on one connection.

use std::time::Duration;

use super::*;
use crate::credential::locked::{SLOTS, SlotPool};
use crate::credential::substitution::sealed;

/// One credential in each slot, of different lengths.
fn several() -> (CredentialSubstitution, Vec<Arc<Substitute>>) {
    let (pool, _) = SlotPool::new(Room::Token, true).unwrap();
    let substitution = CredentialSubstitution::default();
    let tokens = [
        "sk-first-0123",
        "sk-second-01234567",
        "eyJ.third+/==",
        "~~~~~~~~~~~~~~~~",
    ];
    let substitutes = tokens.map(|token| {
        let mut slot = pool.take(Duration::ZERO).unwrap();
        slot.token_mut()[..token.len()].copy_from_slice(token.as_bytes());
        let substitute = Substitute::new(slot.finish(token.len()).unwrap(), &mut random).unwrap();
        let substitute = Arc::new(substitute);
        substitution.add(&substitute);
        substitute
    });
    (substitution, substitutes.to_vec())
}

#[test]
fn the_first_byte_behind_the_scheme_tells_whose_placeholder_it_is() {
    let (_, substitutes) = several();
    for (form, scheme) in [
        (Form::Plain, SCHEME.len()),
        (Form::Huffman, SCHEME_HUFFMAN.len()),
    ] {
        let mut firsts: Vec<_> = substitutes
            .iter()
            .map(|of| of.placeholder(form).bytes()[scheme])
            .collect();
        firsts.sort_unstable();
        firsts.dedup();
        assert_eq!(firsts.len(), SLOTS);
    }
}

#[test]
fn the_scheme_is_what_its_code_says() {
    let mut coded = [0; 8];
    let len = huffman::encode(SCHEME, &mut coded);
    assert_eq!(len.map(|len| &coded[..len]), Some(&SCHEME_HUFFMAN[..]));
}

/// What makes it right to begin anew where the scheme does not go on.
#[test]
fn no_end_of_the_scheme_is_a_beginning_of_it() {
    for form in [Form::Plain, Form::Huffman] {
        let scheme = form.scheme();
        for len in 1..scheme.len() {
            assert!(!scheme.ends_with(&scheme[..len]), "{form:?}");
        }
    }
}

#[test]
fn the_placeholder_of_one_that_is_gone_stops_the_connection() {
    let (substitution, mut substitutes) = several();
    let gone = substitutes.remove(1);
    let wire = h1_wire(gone.text().as_bytes(), &[(vec![], false)]);
    let mut stream = Stream::New;
    stream.take(&substitution, &wire, &mut Vec::new()).unwrap();
    drop(gone);
    let taken = stream.take(&substitution, &wire, &mut Vec::new());
    assert_eq!(taken, Err(Desynchronized));
}

/// As long as a head is half sent its credential stays, whoever else has let go of it.
#[test]
fn a_head_that_was_begun_keeps_its_credential() {
    let (substitution, mut substitutes) = several();
    let begun = substitutes.remove(0);
    let expected = h1_wire(begun.secret(Form::Plain), &[(vec![], false)]);
    let wire = h1_wire(begun.text().as_bytes(), &[(vec![], false)]);
    let kept = Arc::downgrade(&begun);
    let cut = wire.iter().position(|&byte| byte == b'B').unwrap() + 10;
    let mut stream = Stream::New;
    let mut left = Vec::new();
    let mut take = |record: &[u8]| {
        let mut splices = Vec::new();
        stream.take(&substitution, record, &mut splices).unwrap();
        let mut out = record.to_vec();
        for Splice { at, with } in &splices {
            out[*at..at + with.bytes().len()].copy_from_slice(with.bytes());
        }
        left.extend(out);
    };
    take(&wire[..cut]);
    drop(begun);
    assert!(kept.upgrade().is_some());
    take(&wire[cut..]);
    assert_eq!(left, expected);
    assert!(kept.upgrade().is_none());
}

#[test]
fn what_was_encrypted_is_told_once() {
    let _ = sealed::take();
    sealed::note(1);
    sealed::note(3);
    sealed::note(3);
    assert_eq!(sealed::take(), [0, 1, 0, 2]);
    assert_eq!(sealed::take(), [0; SLOTS]);
}

proptest! {
    /// Each head gets the credential whose placeholder it has, whatever the records.
    #[test]
    fn each_head_gets_its_own(
        order in proptest::collection::vec(0..SLOTS, 1..6),
        cuts in proptest::collection::vec(0_usize..4000, 0..30),
        split in 0_usize..70,
    ) {
        let (substitution, substitutes) = several();
        let of = |form: Form, secret: bool| order.iter().map(|&slot| {
            let of = &substitutes[slot];
            if secret { of.secret(form).to_vec() } else { of.placeholder(form).bytes().to_vec() }
        }).collect::<Vec<_>>();
        let fixture = Fixture { substitution, substitute: Arc::clone(&substitutes[0]) };
        let h1 = |values: Vec<Vec<u8>>| values.iter().flat_map(|value| h1_wire(value, &[(b"x".to_vec(), true)])).collect::<Vec<u8>>();
        let sent = send(&fixture, &h1(of(Form::Plain, false)), &cuts);
        prop_assert_eq!(sent.unwrap(), h1(of(Form::Plain, true)));
        let h2 = |values: Vec<Vec<u8>>| {
            let mut wire = h2_wire(&values[0], &[vec![]], split);
            for value in &values[1..] {
                // Without the preface and the settings.
                wire.extend(&h2_wire(value, &[vec![]], split)[24 + 9 + 18..]);
            }
            wire
        };
        let sent = send(&fixture, &h2(of(Form::Huffman, false)), &cuts);
        prop_assert_eq!(sent.unwrap(), h2(of(Form::Huffman, true)));
    }
}
