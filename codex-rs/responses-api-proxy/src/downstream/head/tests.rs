use super::*;

use crate::config::limits::MAX_HEADERS;

use proptest::prelude::*;

/// Feeds `pieces` and collects what is passed on, up to the first error.
fn feed<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<u8>, Option<HeadError>) {
    let mut inbound = Inbound::new();
    let mut passed = Vec::new();
    for piece in pieces {
        let mut piece = piece.to_vec();
        match inbound.arrive(&mut piece, true) {
            Ok(direct) => passed.extend_from_slice(&piece[..direct]),
            Err(error) => return (passed, Some(error)),
        }
        loop {
            // A reader with little room.
            let room = |bytes: &[u8]| {
                let taken = bytes.len().min(7);
                passed.extend_from_slice(&bytes[..taken]);
                taken
            };
            match inbound.pass_on(room, true) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => return (passed, Some(error)),
            }
        }
    }
    (passed, None)
}

fn error(request: &[u8]) -> Option<HeadError> {
    feed([request]).1
}

fn head(lines: &str) -> Vec<u8> {
    format!("POST /v1/responses HTTP/1.1\r\nHost: x\r\n{lines}\r\n").into_bytes()
}

#[test]
fn well_formed_requests_pass_unchanged() {
    for request in [
        head(""),
        head("Content-Length: 0\r\n"),
        [head("Content-Length: 5\r\n"), b"hello".to_vec()].concat(),
        [
            head("Transfer-Encoding: Chunked\r\n"),
            b"5\r\nhello\r\n0\r\n\r\n".to_vec(),
        ]
        .concat(),
        [b"\r\n\r\n".to_vec(), head("")].concat(),
        b"GET / HTTP/1.0\r\nHost: x\r\n\r\n".to_vec(),
        [
            head("Content-Length: 5\r\n"),
            b"\x00\xff\n\r\n".to_vec(),
            head(""),
        ]
        .concat(),
    ] {
        let (passed, error) = feed([&request[..]]);
        assert_eq!(error, None);
        assert_eq!(passed, request);
    }
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    use HeadError::*;
    for (lines, expected) in [
        (
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            TwoLengths,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            TwoLengths,
        ),
        ("Content-Length: 5\r\nContent-Length: 6\r\n", ContentLength),
        ("Content-Length: 5\r\nContent-Length: 5\r\n", ContentLength),
        ("Content-Length: 5, 5\r\n", ContentLength),
        ("Content-Length: +5\r\n", ContentLength),
        ("Content-Length: -1\r\n", ContentLength),
        ("Content-Length: 0x2\r\n", ContentLength),
        ("Content-Length: abc\r\n", ContentLength),
        ("Content-Length:\r\n", ContentLength),
        ("Content-Length: 99999999999999999999\r\n", ContentLength),
        ("Content-Length: 18446744073709551615\r\n", ContentLength),
        ("Transfer-Encoding: gzip, chunked\r\n", TransferEncoding),
        ("Transfer-Encoding: chunked, chunked\r\n", TransferEncoding),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            TransferEncoding,
        ),
        ("Transfer-Encoding: identity\r\n", TransferEncoding),
        ("Transfer-Encoding:\r\n", TransferEncoding),
        ("Transfer-Encoding: xchunked\r\n", TransferEncoding),
        ("Host: y\r\n", Host),
    ] {
        assert_eq!(error(&head(lines)), Some(expected), "{lines:?}");
    }
    assert_eq!(
        error(b"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"),
        Some(TransferEncoding)
    );
    assert_eq!(error(b"POST / HTTP/1.1\r\n\r\n"), Some(Host));
}

#[test]
fn bytes_that_have_no_place_in_a_head_are_refused_where_they_stand() {
    use HeadError::*;
    for (request, expected) in [
        (&b"GET / HTTP/1.1\n"[..], LineEnding),
        (b"GET / HTTP/1.1\rHost: x\r\n", LineEnding),
        (b"GET / HTTP/1.1\r\nHost: x\n\n", LineEnding),
        (b"GET / HTTP/1.1\r\nA: \0", ControlCharacter),
        (b"GET / HTTP/1.1\r\nA: \x7f", ControlCharacter),
        (b"GET / HTTP/1.1\r\nA: \xc3\xa4", NotAscii),
        (b"\x16\x03\x01\x02\x00", Tls),
        (b"\x80", NotAscii),
        (b"\n", LineEnding),
    ] {
        assert_eq!(error(request), Some(expected), "{request:?}");
    }
}

#[test]
fn heads_of_another_grammar_are_refused() {
    for request in [
        &b"PRI * HTTP/2.0\r\n\r\n"[..],
        b"GET /\r\n\r\n",
        b"GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
        b"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nX-A : 1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-A: 1\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nnocolon\r\n\r\n",
        b"hello\r\n\r\n",
        b"GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    ] {
        assert!(
            matches!(error(request), Some(HeadError::Syntax(_))),
            "{:?}",
            String::from_utf8_lossy(request)
        );
    }
}

#[test]
fn the_limits_are_those_named() {
    let padding = "a".repeat(MAX_HEAD - head("X: \r\n").len());
    assert_eq!(error(&head(&format!("X: {padding}\r\n"))), None);
    assert_eq!(
        error(&head(&format!("X: {padding}a\r\n"))),
        Some(HeadError::TooLong)
    );
    assert_eq!(error(&vec![b'a'; MAX_HEAD + 1]), Some(HeadError::TooLong));
    let lines = "A: 1\r\n".repeat(MAX_HEADERS - 1);
    assert_eq!(error(&head(&lines)), None);
    assert_eq!(
        error(&head(&format!("{lines}A: 1\r\n"))),
        Some(HeadError::TooManyHeaders)
    );
}

#[test]
fn a_bad_head_behind_a_good_request_does_not_take_it_down() {
    let good = [head("Content-Length: 2\r\n"), b"hi".to_vec()].concat();
    let (passed, error) = feed([&[&good[..], b"\x00"].concat()[..]]);
    assert_eq!(passed, good);
    assert_eq!(error, Some(HeadError::ControlCharacter));
}

#[test]
fn it_knows_when_a_caller_is_in_the_middle_of_something() {
    let mut inbound = Inbound::new();
    assert!(!inbound.is_unfinished());
    inbound.arrive(&mut b"POST".to_vec(), true).unwrap();
    assert!(inbound.is_unfinished());
    let mut inbound = Inbound::new();
    inbound
        .arrive(&mut head("Content-Length: 2\r\n"), true)
        .unwrap();
    assert!(inbound.is_unfinished());
    assert_eq!(inbound.arrive(&mut b"hi".to_vec(), true), Ok(2));
    assert!(!inbound.is_unfinished());
}

#[test]
fn what_comes_behind_a_request_waits_until_it_may_begin() {
    let mut inbound = Inbound::new();
    let good = [head("Content-Length: 2\r\n"), b"hi".to_vec()].concat();
    let mut both = [&good[..], b"nonsense\n"].concat();
    assert_eq!(inbound.arrive(&mut both, true), Ok(good.len()));
    assert!(inbound.has_buffered());
    let room = |bytes: &[u8]| bytes.len();
    assert_eq!(inbound.pass_on(room, false), Ok(false));
    assert_eq!(inbound.arrive(&mut b"more".to_vec(), false), Ok(0));
    assert_eq!(inbound.heads(), 1);
    assert_eq!(inbound.pass_on(room, true), Err(HeadError::LineEnding));
}

#[test]
fn too_much_behind_a_request_is_discarded_and_ends_the_connection() {
    let good = [head("Content-Length: 2\r\n"), b"hi".to_vec()].concat();
    let mut inbound = Inbound::new();
    let mut first = [&good[..], &vec![b'x'; MAX_BUFFERED]].concat();
    assert_eq!(inbound.arrive(&mut first, true), Ok(good.len()));
    assert!(!inbound.is_over() && inbound.discarded() == 0);
    assert_eq!(inbound.arrive(&mut [b'x'], false), Ok(0));
    assert!(inbound.is_over() && !inbound.has_buffered());
    assert_eq!(inbound.arrive(&mut good.clone(), true), Ok(0));
    assert_eq!(inbound.discarded(), MAX_BUFFERED + 1 + good.len());
    assert_eq!(inbound.heads(), 1);

    // A further head that is begun in its own time may be as long as any.
    let mut inbound = Inbound::new();
    assert_eq!(inbound.arrive(&mut good.clone(), true), Ok(good.len()));
    let long = head(&format!("X: {}\r\n", "a".repeat(2 * MAX_BUFFERED)));
    for piece in long.chunks(1000) {
        inbound.arrive(&mut piece.to_vec(), true).unwrap();
    }
    assert!(inbound.is_ready() && !inbound.is_over());
}

#[test]
fn nothing_behind_a_chunked_body_is_buffered_or_passed_on() {
    let body = b"2\r\nhi\r\n0\r\n\r\n";
    let request = [&head("Transfer-Encoding: chunked\r\n")[..], body].concat();
    let (passed, error) = feed([&[&request[..], &request[..]].concat()[..]]);
    assert_eq!((passed, error), (request.clone(), None));
    let mut inbound = Inbound::new();
    assert_eq!(
        inbound.arrive(&mut request.clone(), true),
        Ok(request.len())
    );
    assert_eq!(inbound.arrive(&mut [b'x'], true), Ok(0));
    assert!(inbound.is_over() && !inbound.has_buffered());
}

#[test]
fn an_upgrade_is_masked_and_nothing_else_is() {
    let (passed, _) = feed([&head("Upgrade: h2c\r\nX: upgrade\r\nUPGRADE: websocket\r\n")[..]]);
    assert_eq!(
        passed,
        head("upgrad-: h2c\r\nX: upgrade\r\nupgrad-: websocket\r\n")
    );
}

#[test]
fn targets_that_are_none_and_methods_of_another_kind_of_proxy_are_refused() {
    for target in [
        "/v1/responses#f",
        "/shutdown#",
        "/<>",
        "\\",
        "http://",
        "/{x}",
        "/a|b",
        "/`",
    ] {
        let request = format!("POST {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        let found = error(request.as_bytes());
        // Some of these are targets to some parsers; none of them is served.
        assert!(
            matches!(found, Some(HeadError::Target | HeadError::Syntax(_)) | None),
            "{target}: {found:?}"
        );
        assert!(found.is_some() || !target.contains('#'), "{target}");
    }
    let connect = b"CONNECT a.example:443 HTTP/1.1\r\nHost: a.example\r\n\r\n";
    assert_eq!(error(connect), Some(HeadError::Connect));
}

proptest! {
    /// However the bytes are cut on their way, the same ones pass and the same error is found.
    #[test]
    fn the_cutting_does_not_matter(
        bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 1..4),
        garbage in proptest::collection::vec(any::<u8>(), 0..20),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let mut wire = Vec::new();
        for body in &bodies {
            wire.extend(head(&format!("Content-Length: {}\r\n", body.len())));
            wire.extend(body);
        }
        wire.extend(&garbage);
        let mut offsets: Vec<usize> = cuts.iter().map(|cut| cut.index(wire.len() + 1)).collect();
        offsets.extend([0, wire.len()]);
        offsets.sort_unstable();
        let pieces = offsets.windows(2).map(|pair| &wire[pair[0]..pair[1]]);
        prop_assert_eq!(feed(pieces), feed([&wire[..]]));
    }

    /// No input panics, and nothing passes that did not arrive, in the same order.
    #[test]
    fn what_passes_is_a_prefix_of_what_arrived(wire in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (passed, _) = feed([&wire[..]]);
        prop_assert!(wire.starts_with(&passed));
    }
}
