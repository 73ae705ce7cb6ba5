//! Bodies in gzip and zstd: what is joined, what is refused, and how little memory it takes.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::super::body::MAX_PARTS;
use super::super::zstd::{MAX_BLOCK, MAX_WINDOW};
use super::*;

const BODY: &[u8] =
    br#"{"model":"m","input":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","store":false}"#;
/// A frame's magic number.
const FRAME: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GIB: usize = 1 << 30;

pub(super) fn encoded(is_gzip: bool, body: &[u8]) -> Vec<u8> {
    if is_gzip {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
        gzip.write_all(body).unwrap();
        gzip.finish().unwrap()
    } else {
        compress_to_vec(body, CompressionLevel::Fastest)
    }
}

fn codings() -> [(RequestEncoding, bool, Malformed); 2] {
    [
        (RequestEncoding::Gzip, true, Malformed::Gzip),
        (RequestEncoding::Zstd, false, Malformed::Zstd),
    ]
}

fn in_pieces(encoding: RequestEncoding, body: &[u8]) -> Result<Facts, Malformed> {
    let whole = inspected(encoding, body, body.len().max(1));
    for size in [1, 3, 50] {
        assert_eq!(inspected(encoding, body, size), whole);
    }
    whole
}

/// A block's header: RFC 8878, section 3.1.1.2.
fn block(is_last: bool, kind: u32, size: u32) -> [u8; 3] {
    let [low, middle, high, _] = (size << 3 | kind << 1 | u32::from(is_last)).to_le_bytes();
    [low, middle, high]
}

fn zstd(parts: &[&[u8]]) -> Result<Facts, Malformed> {
    in_pieces(RequestEncoding::Zstd, &parts.concat())
}

#[test]
fn members_and_frames_are_joined() {
    let expected = facts(BODY).unwrap();
    for (encoding, is_gzip, _) in codings() {
        for at in [BODY.len(), 0, 11] {
            let (one, other) = BODY.split_at(at);
            let body = [encoded(is_gzip, one), encoded(is_gzip, other)].concat();
            assert_eq!(in_pieces(encoding, &body).unwrap(), expected);
        }
    }
}

#[test]
fn a_body_in_an_encoding_is_whole_and_nothing_follows() {
    for (encoding, is_gzip, malformed) in codings() {
        let whole = encoded(is_gzip, BODY);
        for length in 1..whole.len() {
            assert_eq!(in_pieces(encoding, &whole[..length]), Err(malformed));
        }
        assert_eq!(in_pieces(encoding, b""), Err(Malformed::Empty));
        for garbage in [&b"\0"[..], b"{}", b"\x1f\x8b", b"\0\0\0\0\0\0\0\0\0\0\0\0"] {
            let body = [&*whole, garbage].concat();
            assert_eq!(in_pieces(encoding, &body), Err(malformed), "{garbage:?}");
        }
        assert_eq!(in_pieces(encoding, BODY), Err(malformed));
        let twice = encoded(is_gzip, &whole);
        assert_eq!(in_pieces(encoding, &twice), Err(Malformed::NotJson));
    }
}

/// What `zstd -19` (1.5) makes of a body of 875 bytes, in hexadecimal: with tables that `ruzstd` never writes.
const BY_LIBZSTD: &str = "\
    28b52ffd046875090026d02f1c604ddb5344db6d742383af4612ba62c897880dca9903aa2409828007290025002800cb606b\
    4e1bb546e59bf4a1284e38cc9cebf32599a13ae1e4bae6f3e50c0202403fc739e1b04c8e3994cdabf1a5f6e673db281f0db7\
    d9c9e0e243f818b24ef25c7de57e3c1f9e2ee24cc954311266b9f8f8a63f9e5b931a328c438cd634db279c4606869a129e2f\
    8b94ab4d64a9540e6b6eae84a3e906958562c9ad574ad353aad2d61c3f699c391d0d5761a1c6c798b0f7b0357bd7cfa6ecb9\
    108c052c20304644ceda03c870005201304d3d801b01b8b6603a3ac155847de270f10c890ca058522dbc4d94d94c703cc12d\
    17a7b1820de8e0f4884c40c3179881072d4733618b51621805e000add57e92d2ec108693bff50256764c7b095ae9e0de0807\
    c3a0e21c6f488d57b428147dc8d4c9\
";

#[test]
fn what_libzstd_writes_is_read() {
    let digits: Vec<u8> = BY_LIBZSTD
        .chars()
        .map(|digit| digit.to_digit(16).unwrap() as u8)
        .collect();
    let body: Vec<u8> = digits
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    let facts = in_pieces(RequestEncoding::Zstd, &body).unwrap();
    assert_eq!((facts.bytes, facts.store), (875, Some(false)));
    assert_eq!(facts.model.as_deref(), Some("gpt-5.6"));
    assert_eq!(facts.tools, ["function"]);
}

#[test]
fn a_checksum_that_is_wrong_is_refused() {
    for (encoding, is_gzip, malformed) in codings() {
        let mut body = encoded(is_gzip, BODY);
        // Of gzip: of its checksum. Of zstd: the checksum is last.
        let at = body.len() - if is_gzip { 8 } else { 1 };
        body[at] ^= 1;
        assert_eq!(in_pieces(encoding, &body), Err(malformed));
    }
}

#[test]
fn a_header_of_gzip_may_have_all_its_fields() {
    let whole = encoded(true, BODY);
    let (header, rest) = whole.split_at(10);
    let mut header = header.to_vec();
    header[3] = 0b1_1100;
    header.extend(b"\x03\x00abcname\0comment\0");
    let body = [&*header, rest].concat();
    assert_eq!(in_pieces(RequestEncoding::Gzip, &body), facts(BODY));
    header[3] |= 0x20;
    let body = [&*header, rest].concat();
    let found = in_pieces(RequestEncoding::Gzip, &body);
    assert_eq!(found, Err(Malformed::Gzip));
}

#[test]
fn frames_without_content_are_skipped() {
    let frame = encoded(false, BODY);
    let skipped = [&[0x5f, 0x2a, 0x4d, 0x18, 5, 0, 0, 0][..], b"12345"].concat();
    let none = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    let found = zstd(&[&skipped, &none, &frame, &none, &skipped]);
    assert_eq!(found, facts(BODY));
    assert_eq!(zstd(&[&frame, &skipped[..12]]), Err(Malformed::Zstd));
    assert_eq!(zstd(&[&skipped]), Err(Malformed::Empty));
}

#[test]
fn a_frame_is_what_its_header_says() {
    let raw = block(true, 0, 2);
    // One segment of two bytes; a window of 8 MiB, and one of 9.
    assert!(zstd(&[&FRAME, &[0x20, 2], &raw, b"{}"]).is_ok());
    assert!(zstd(&[&FRAME, &[0, 13 << 3], &raw, b"{}"]).is_ok());
    // A last block without content, and no checksum behind it.
    let (first, last) = (block(false, 0, 2), block(true, 0, 0));
    let parts = [&FRAME[..], &[0, 0], &first, b"{}", &last];
    assert!(zstd(&parts).is_ok());
    assert!(zstd(&[&parts.concat(), &FRAME, &[0, 0], &last]).is_ok());
    assert_eq!(zstd(&parts[..4]), Err(Malformed::Zstd));
    let too_large = Err(Malformed::ZstdWindow(MAX_WINDOW));
    assert_eq!(zstd(&[&FRAME, &[0, 13 << 3 | 1], &raw, b"{}"]), too_large);
    let segment = [&[0xe0][..], &u64::MAX.to_le_bytes()].concat();
    assert_eq!(zstd(&[&FRAME, &segment, &raw, b"{}"]), too_large);
    // A dictionary; the number 0 means none.
    let dictionary = Err(Malformed::ZstdDictionary);
    assert_eq!(zstd(&[&FRAME, &[0x21, 7, 2], &raw, b"{}"]), dictionary);
    assert!(zstd(&[&FRAME, &[0x21, 0, 2], &raw, b"{}"]).is_ok());
    let malformed = Err(Malformed::Zstd);
    // The reserved bit; another size; a block that is larger than the window; a reserved type of block.
    assert_eq!(zstd(&[&FRAME, &[0x28, 2], &raw, b"{}"]), malformed);
    assert_eq!(zstd(&[&FRAME, &[0x20, 3], &raw, b"{}"]), malformed);
    assert_eq!(zstd(&[&FRAME, &[0x20, 1], &raw, b"{}"]), malformed);
    assert_eq!(
        zstd(&[&FRAME, &[0x20, 2], &block(true, 3, 2), b"{}"]),
        malformed
    );
}

#[test]
fn a_block_that_decodes_to_more_than_a_block_may_be_is_refused() {
    // So many sequences of one space each, and a match that copies it 65,539 times and `more`.
    let content = |count: u8, more: u16| {
        let mut content = vec![count << 3];
        content.extend(b" ".repeat(count.into()));
        // All codes repeat: a literal, the offset before, the longest match.
        content.extend([count, 0b0101_0100, 1, 0, 52]);
        content.extend(more.to_le_bytes().repeat(count.into()));
        // The mark of the end, where reading begins.
        content.push(1);
        content
    };
    let read = |content: &[u8]| {
        let (object, spaces) = (block(false, 0, 2), block(true, 2, content.len() as u32));
        zstd(&[&FRAME, &[0, 13 << 3], &object, b"{}", &spaces, content])
    };
    assert_eq!(read(&content(1, 0)).unwrap().bytes, 2 + 65_540);
    assert_eq!(read(&content(1, 65_532)).unwrap().bytes, 2 + MAX_BLOCK);
    for too_large in [content(1, 65_533), content(2, 0), content(31, u16::MAX)] {
        assert_eq!(read(&too_large), Err(Malformed::Zstd));
    }
    // A code that does not exist; bits that are left; bits that are missing.
    for (at, byte) in [(6, 53), (4, 36), (5, 32), (9, 2), (9, 0)] {
        let mut content = content(1, 0);
        content[at] = byte;
        assert_eq!(read(&content), Err(Malformed::Zstd), "{at}");
    }
}

#[test]
fn a_gibibyte_is_not_held() {
    let spaces = vec![b' '; 16 << 20];
    let member = encoded(true, &spaces);
    let gzip = member.repeat(GIB / spaces.len());
    let mut zstd = [&FRAME[..], &[0, 13 << 3]].concat();
    for _ in 0..GIB as u64 / MAX_BLOCK {
        zstd.extend(block(false, 1, MAX_BLOCK as u32));
        zstd.push(b' ');
    }
    let max = 40 << 20;
    for (encoding, body) in [(RequestEncoding::Gzip, gzip), (RequestEncoding::Zstd, zstd)] {
        let mut inspector = RequestInspector::new(encoding, max);
        let read = body
            .chunks(1000)
            .take_while(|piece| inspector.push(piece).is_ok())
            .count();
        assert!(matches!(inspector.failed, Some(Malformed::TooDense(_))));
        // A twenty-fifth of a GiB, and not much more.
        assert!(read * 1000 <= body.len() / 20);
        let body = match &inspector.decoder {
            Decoder::Gzip(gzip) => gzip.body(),
            Decoder::Zstd(zstd) => zstd.body(),
            Decoder::Identity(_) => unreachable!(),
        };
        assert!((1..=32 << 10).contains(&body.largest_piece));
    }
}

/// What takes long to decode for how little it is, or comes to: by the size of what is sent at once.
#[test]
fn a_small_body_does_not_keep_a_thread_busy() {
    let dense = encoded(true, &vec![b' '; 8 << 20]);
    let mut inspector = RequestInspector::new(RequestEncoding::Gzip, u64::MAX);
    assert!(matches!(
        inspector.push(&dense),
        Err(Malformed::TooDense(_))
    ));
    // A block of DEFLATE that is stored and empty, and is not the last.
    let header = &encoded(true, b"")[..10];
    let empty = [header, &[0, 0, 0, 0xff, 0xff].repeat(60_000)].concat();
    let failed = inspected(RequestEncoding::Gzip, &empty, 1_000);
    assert_eq!(failed, Err(Malformed::Gzip));
    // As dense as text that repeats itself a great deal.
    let repeated = format!(
        "{{\"input\":\"{}\"}}",
        "0123456789 some text ".repeat(20_000)
    );
    for (encoding, is_gzip, _) in codings() {
        let body = encoded(is_gzip, repeated.as_bytes());
        let much = body.len() * 100 + (256 << 10);
        assert_eq!(
            inspected(encoding, &body, body.len()).is_ok(),
            repeated.len() <= much
        );
    }
}

#[test]
fn a_body_is_joined_of_no_more_than_a_few_thousand_parts() {
    let joined = |encoding, part: &[u8], parts: u32, whole: &[u8]| {
        let body = [&part.repeat(parts as usize - 1), whole].concat();
        inspected(encoding, &body, 1_000)
    };
    let none = [0x50, 0x2a, 0x4d, 0x18, 0, 0, 0, 0];
    for (encoding, part, is_gzip) in [
        (RequestEncoding::Gzip, encoded(true, b""), true),
        // As long as what it comes to.
        (RequestEncoding::Gzip, encoded(true, &[b' '; 60]), true),
        (RequestEncoding::Zstd, encoded(false, b" "), false),
        (RequestEncoding::Zstd, none.to_vec(), false),
    ] {
        let whole = encoded(is_gzip, BODY);
        assert!(joined(encoding, &part, MAX_PARTS, &whole).is_ok());
        let refused = joined(encoding, &part, MAX_PARTS + 1, &whole);
        assert_eq!(refused, Err(Malformed::TooManyParts(MAX_PARTS)));
    }
}
