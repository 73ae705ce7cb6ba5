//! The entries for fuzzing; beside what they look into, which nobody else may see.
#![allow(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a fuzz target reports by panicking"
)]

use std::sync::{Arc, LazyLock};

use super::{CredentialSubstitution, Desynchronized, Form, Stream, Substitute};
use crate::credential::locked::{LockedCredential, Room};

const CREDENTIAL: &str = "Bearer sk-proj-Zz09_XqWvK3JmNpAb7CdEfGh1IjKlMnOpQrStUvWxYz";

static SUBSTITUTE: LazyLock<Arc<Substitute>> = LazyLock::new(|| {
    let mut state = 1_u32;
    // Not random, so that what was found is found again.
    let mut random = |buffer: &mut [u8]| {
        buffer.fill_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        });
        true
    };
    let credential = LockedCredential::for_tests(&CREDENTIAL["Bearer ".len()..], Room::Key);
    Arc::new(Substitute::new(credential, &mut random).unwrap())
});

static SUBSTITUTION: LazyLock<CredentialSubstitution> = LazyLock::new(|| {
    let substitution = CredentialSubstitution::default();
    substitution.add(&SUBSTITUTE);
    substitution
});

/// Sends `wire` in records; what leaves, up to where track was lost. Nothing is ever replaced
/// but the placeholder, by what stands at its place in the credential.
fn send(wire: &[u8], control: &[u8]) -> (Vec<u8>, Result<(), Desynchronized>) {
    let mut stream = Stream::New;
    let mut left = Vec::new();
    for (record, _) in cut(wire, control) {
        let mut splices = Vec::new();
        if stream.take(&SUBSTITUTION, record, &mut splices).is_err() {
            // From then on nothing passes.
            assert!(stream.take(&SUBSTITUTION, b"x", &mut Vec::new()).is_err());
            return (left, Err(Desynchronized));
        }
        let mut out = record.to_vec();
        for splice in splices {
            let with = splice.with.bytes();
            let end = splice.at + with.len();
            let replaced = &record[splice.at..end];
            let (placeholder, secret, range) = splice.with.sides();
            assert_eq!(placeholder.get(range.clone()), Some(replaced));
            assert_eq!(secret.get(range), Some(with));
            out[splice.at..end].copy_from_slice(with);
        }
        left.extend(out);
    }
    (left, Ok(()))
}

/// With 0xff for the placeholder and 0xfe for its Huffman-encoded form.
fn expand(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in data {
        match byte {
            0xff => out.extend(SUBSTITUTE.text().bytes()),
            0xfe => out.extend(SUBSTITUTE.placeholder(Form::Huffman).bytes()),
            _ => out.push(byte),
        }
    }
    out
}

/// Any bytes in any records.
pub fn substitution_any(data: &[u8]) {
    let (control, rest) = split_control(data);
    for opening in [&b"POST "[..], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b""] {
        let wire = [opening, &expand(rest)].concat();
        let (left, _) = send(&wire, control);
        assert!(left.len() <= wire.len());
    }
}

/// Requests as hyper writes them: each head gets the credential, whatever the bodies hold, and
/// however the records cut it. A 0x00 ends a body; its first byte says how it is framed.
pub fn substitution_requests(data: &[u8]) {
    let (control, rest) = split_control(data);
    let mut wire = Vec::new();
    let mut expected = Vec::new();
    for body in rest.split(|&byte| byte == 0) {
        let is_chunked = body.first().is_some_and(|byte| byte & 1 == 1);
        let body = expand(body);
        for (out, credential) in [(&mut wire, SUBSTITUTE.text()), (&mut expected, CREDENTIAL)] {
            out.extend(
                format!("POST /v1/responses HTTP/1.1\r\nauthorization: {credential}\r\n").bytes(),
            );
            if is_chunked {
                out.extend(b"transfer-encoding: chunked\r\nhost: x\r\n\r\n");
                for chunk in body.chunks(50) {
                    out.extend(format!("{:X}\r\n", chunk.len()).bytes());
                    out.extend(chunk);
                    out.extend(b"\r\n");
                }
                out.extend(b"0\r\n\r\n");
            } else {
                out.extend(format!("content-length: {}\r\nhost: x\r\n\r\n", body.len()).bytes());
                out.extend(&body);
            }
        }
    }
    // The first record tells the protocol by its first word; no client sends less of it.
    let mut control = control.to_vec();
    if let Some(first) = control.first_mut() {
        *first |= 7;
    }
    let (left, sent) = send(&wire, &control);
    assert!(sent.is_ok());
    assert_eq!(left, expected);
}

/// Takes the way the input is cut off its front: a count, then so many sizes.
pub(crate) fn split_control(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((&count, rest)) = data.split_first() else {
        return (&[], &[]);
    };
    rest.split_at(usize::from(count % 32).min(rest.len()))
}

/// Cuts `bytes` into pieces of the sizes in `control`, over and over.
pub(crate) fn cut<'a>(mut bytes: &'a [u8], control: &[u8]) -> Vec<(&'a [u8], u8)> {
    let mut pieces = Vec::new();
    let mut sizes = control.iter().cycle();
    while !bytes.is_empty() {
        let byte = *sizes.next().unwrap_or(&0x3f);
        let size = usize::from(byte & 0x3f) + 1;
        // Without a plan it all comes at once.
        let size = if control.is_empty() {
            bytes.len()
        } else {
            size
        };
        let (piece, rest) = bytes.split_at(size.min(bytes.len()));
        pieces.push((piece, byte));
        bytes = rest;
    }
    pieces
}
