mod several;

use super::*;
use crate::credential::locked::Room;

use proptest::prelude::*;
use rustls::crypto::ring::default_provider;

fn random(buffer: &mut [u8]) -> bool {
    default_provider().secure_random.fill(buffer).is_ok()
}

/// A credential that stays, and the substitution that knows it.
pub(super) struct Fixture {
    pub(super) substitution: CredentialSubstitution,
    pub(super) substitute: Arc<Substitute>,
}

impl Fixture {
    pub(super) fn placeholder(&self) -> &str {
        self.substitute.text()
    }

    fn plain(&self) -> &[u8] {
        self.substitute.secret(Form::Plain)
    }

    fn huffman(&self) -> &[u8] {
        self.substitute.secret(Form::Huffman)
    }
}

pub(super) fn fixture(key: &str) -> Fixture {
    let credential = LockedCredential::for_tests(key, Room::Token);
    let substitute = Arc::new(Substitute::new(credential, &mut random).unwrap());
    let substitution = CredentialSubstitution::default();
    substitution.add(&substitute);
    Fixture {
        substitution,
        substitute,
    }
}

const KEY: &str = "sk-proj-Zz09_XqWvK3JmNpAb7CdEfGh1IjKlMnOpQrStUvWxYz";

/// Sends `wire` in records cut at `cuts`; what leaves, or that track was lost.
fn send(fixture: &Fixture, wire: &[u8], cuts: &[usize]) -> Result<Vec<u8>, Desynchronized> {
    let mut stream = Stream::New;
    let mut left = Vec::new();
    let mut offsets = vec![0, wire.len()];
    offsets.extend(
        cuts.iter()
            .map(|cut| cut % (wire.len() + 1))
            .filter(|&cut| cut >= 24),
    );
    offsets.sort_unstable();
    for pair in offsets.windows(2) {
        let record = &wire[pair[0]..pair[1]];
        let mut splices = Vec::new();
        stream.take(&fixture.substitution, record, &mut splices)?;
        let mut out = record.to_vec();
        for Splice { at, with } in splices {
            let with = with.bytes();
            out[at..at + with.len()].copy_from_slice(with);
        }
        left.extend(out);
    }
    Ok(left)
}

/// Requests as hyper writes them, with `authorization` for a credential.
fn h1_wire(authorization: &[u8], bodies: &[(Vec<u8>, bool)]) -> Vec<u8> {
    let mut wire = Vec::new();
    for (body, chunked) in bodies {
        wire.extend(b"POST /v1/responses HTTP/1.1\r\nauthorization: ");
        wire.extend(authorization);
        wire.extend(b"\r\naccept: */*\r\n");
        if *chunked {
            wire.extend(b"transfer-encoding: chunked\r\nhost: x\r\n\r\n");
            for chunk in body.chunks(50) {
                wire.extend(format!("{:X}\r\n", chunk.len()).bytes());
                wire.extend(chunk);
                wire.extend(b"\r\n");
            }
            wire.extend(b"0\r\n\r\n");
        } else {
            wire.extend(format!("content-length: {}\r\nhost: x\r\n\r\n", body.len()).bytes());
            wire.extend(body);
        }
    }
    wire
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let [.., high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[high, middle, low, kind, flags, 0, 0, 0, 1][..], payload].concat()
}

/// Requests as h2 writes them: preface, SETTINGS, then header blocks and DATA,
/// each block cut into HEADERS and CONTINUATION after `split` bytes.
fn h2_wire(huffman: &[u8], bodies: &[Vec<u8>], split: usize) -> Vec<u8> {
    let mut wire = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    wire.extend(frame(4, 0, &[0; 18]));
    for body in bodies {
        // A method, a literal never indexed named authorization, something after it.
        let length = u8::try_from(huffman.len()).unwrap();
        let block = [
            &[0x83, 0x1f, 0x08, 0x80 | length][..],
            huffman,
            &[0x40, 0x01, b'x', 0x00],
        ]
        .concat();
        let (first, rest) = block.split_at(split % block.len());
        wire.extend(frame(1, 0, first));
        wire.extend(frame(9, 4, rest));
        wire.extend(frame(0, 1, body));
    }
    wire
}

#[test]
fn a_placeholder_is_as_long_as_its_key_in_both_forms_and_shares_only_the_scheme() {
    let long = "aZ_9".repeat(254);
    for key in [
        KEY,
        "k",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "ZZZZZZZZZZZZZZZZXXXXXXXXXXXX",
        "~~~~~~~~~~~~~~~~~~~~~~~~~~~~",
        "0",
        "000000000000000000000000000",
        "a+b~c/d=.",
        &long,
        &"~".repeat(8192),
        &"X".repeat(8192),
    ] {
        let fixture = fixture(key);
        let (plain, huffman) = (fixture.plain(), fixture.huffman());
        assert_eq!(fixture.placeholder().len(), plain.len());
        let mut placeholder_huffman = vec![0; huffman.len()];
        let len = huffman::encode(fixture.placeholder().as_bytes(), &mut placeholder_huffman);
        assert_eq!(len, Some(huffman.len()), "{key}");
        assert!(fixture.placeholder().starts_with("Bearer "));
    }
    let one = fixture(KEY);
    let other = fixture(KEY);
    assert_ne!(one.placeholder(), other.placeholder());
    assert!(!one.placeholder().contains(KEY));
}

#[test]
fn a_seal_shows_nothing_of_its_key() {
    let fixture = fixture(KEY);
    let huffman = fixture.huffman();
    let shown = format!("{:?}", fixture.substitute);
    assert!(!shown.contains(KEY));
    assert!(!shown.contains(&format!("{:?}", &huffman[5..]).replace(['[', ']'], "")));
    let mut splices = Vec::new();
    let wire = h1_wire(fixture.placeholder().as_bytes(), &[(vec![], false)]);
    Stream::New
        .take(&fixture.substitution, &wire, &mut splices)
        .unwrap();
    let shown = format!("{splices:?}");
    assert_eq!(splices.len(), 1);
    assert!(!shown.contains(&format!("{:?}", &KEY.as_bytes()[..4]).replace(['[', ']'], "")));
    assert!(!shown.contains("sk-"), "{shown}");
}

#[test]
fn a_head_without_the_placeholder_stops_the_connection() {
    let fixture = fixture(KEY);
    let huffman = fixture.huffman();
    assert_eq!(
        send(&fixture, &h1_wire(b"Bearer other", &[(vec![], false)]), &[]),
        Err(Desynchronized)
    );
    assert_eq!(
        send(
            &fixture,
            &h2_wire(&vec![0; huffman.len()], &[vec![]], 9),
            &[]
        ),
        Err(Desynchronized)
    );
}

#[test]
fn a_match_that_was_begun_in_one_record_must_go_on_in_the_next() {
    let fixture = fixture(KEY);
    let head = b"POST / HTTP/1.1\r\nauthorization: ";
    let begun = &fixture.placeholder().as_bytes()[..20];
    let mut stream = Stream::New;
    let mut splices = Vec::new();
    stream
        .take(
            &fixture.substitution,
            &[&head[..], begun].concat(),
            &mut splices,
        )
        .unwrap();
    assert_eq!(splices.len(), 1);
    assert_eq!(
        stream.take(&fixture.substitution, b"!", &mut splices),
        Err(Desynchronized)
    );
    // And there is no way back.
    assert_eq!(
        stream.take(&fixture.substitution, head, &mut splices),
        Err(Desynchronized)
    );
}

#[test]
fn the_scheme_alone_at_the_end_of_a_record_changes_nothing_and_binds_nothing() {
    let fixture = fixture(KEY);
    let plain = fixture.plain();
    let placeholder = fixture.placeholder();
    let wire =
        format!("POST / HTTP/1.1\r\nx: Bearer Bearer\r\nauthorization: {placeholder}\r\n\r\n");
    let expected = wire.replace(placeholder, std::str::from_utf8(plain).unwrap());
    let cut = wire.find("Bearer ").unwrap() + 7;
    assert_eq!(
        send(&fixture, wire.as_bytes(), &[cut]).unwrap(),
        expected.as_bytes()
    );
}

#[test]
fn a_tunnel_is_passed_and_anything_else_is_not() {
    let fixture = fixture(KEY);
    let tunnel = [
        &b"CONNECT api.openai.com:443 HTTP/1.1\r\n\r\n"[..],
        fixture.placeholder().as_bytes(),
    ]
    .concat();
    assert_eq!(send(&fixture, &tunnel, &[30]).unwrap(), tunnel);
    for wire in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\x00\x00\x00\x04", b"P"] {
        assert_eq!(send(&fixture, wire, &[]), Err(Desynchronized));
    }
}

proptest! {
    /// Every head gets the key, no body does, whatever the records.
    #[test]
    fn http_1_heads_get_the_key_and_bodies_do_not(
        bodies in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 0..200), any::<bool>()), 1..4),
        cuts in proptest::collection::vec(0_usize..4000, 0..20),
        forged in any::<bool>(),
    ) {
        let fixture = fixture(KEY);
    let plain = fixture.plain();
        let mut bodies = bodies;
        if forged {
            // A body that holds the placeholder, which no caller can know.
            bodies[0].0.extend(fixture.placeholder().bytes());
        }
        let wire = h1_wire(fixture.placeholder().as_bytes(), &bodies);
        prop_assert_eq!(send(&fixture, &wire, &cuts).unwrap(), h1_wire(plain, &bodies));
    }

    #[test]
    fn http_2_blocks_get_the_key_and_data_does_not(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 1..4),
        cuts in proptest::collection::vec(0_usize..4000, 0..20),
        split in 0_usize..70,
        forged in any::<bool>(),
    ) {
        let fixture = fixture(KEY);
    let huffman = fixture.huffman();
        let mut own = vec![0; huffman.len()];
        huffman::encode(fixture.placeholder().as_bytes(), &mut own).unwrap();
        let mut bodies = bodies;
        if forged {
            bodies[0].extend(&own);
        }
        let wire = h2_wire(&own, &bodies, split);
        prop_assert_eq!(send(&fixture, &wire, &cuts).unwrap(), h2_wire(huffman, &bodies, split));
    }

    #[test]
    fn no_plaintext_panics(wire in proptest::collection::vec(any::<u8>(), 0..200), cuts in proptest::collection::vec(0_usize..200, 0..5), start in 0_usize..3) {
        let fixture = fixture(KEY);
        let start = [&b"POST "[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""][start];
        let _ = send(&fixture, &[start, &wire].concat(), &cuts);
    }
}
