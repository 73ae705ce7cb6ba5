use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::judge::{compare, inspected};
use super::*;

fn facts(body: &str) -> Result<Facts, Malformed> {
    let whole = inspected(RequestEncoding::Identity, [body.as_bytes()]);
    for size in [1, 2, 3, 7] {
        let cut = inspected(RequestEncoding::Identity, body.as_bytes().chunks(size));
        assert_eq!(whole, cut, "{body}");
    }
    compare(body.as_bytes(), whole.clone());
    whole
}

#[test]
fn what_matters_is_found() {
    let body = r#" {"input":[{"model":"no","tools":[{"type":"no"}]}],"mod\u0065l":"gpt-5\u002e2","stream":true,
        "max_output_tokens":32000,"service_tier":"fl\"ex","background":true,"store":false,"prompt":{"id":"p"},
        "previous_response_id":"resp_1","conversation":null,"metadata":{"model":1,"model":2},
        "tools":[{"name":"f","type":"function"},{"type":"namespace","tools":[{"type":"web_search"}]},
                 {"type":"function"}]} "#;
    let expected = Facts {
        bytes: body.len() as u64,
        model: Some("gpt-5.2".to_owned()),
        max_output_tokens: Some(32_000),
        service_tier: Some("fl\"ex".to_owned()),
        background: true,
        store: Some(false),
        previous_response_id: true,
        conversation: false,
        prompt: true,
        tools: ["function", "namespace", "web_search"]
            .map(str::to_owned)
            .to_vec(),
    };
    assert_eq!(facts(body), Ok(expected));
    assert_eq!(facts("{}").map(|facts| facts.bytes), Ok(2));
}

#[test]
fn what_can_be_read_in_two_ways_is_refused() {
    let deep = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
    for (body, expected) in [
        ("", Malformed::NotJson),
        ("{", Malformed::NotJson),
        ("[]", Malformed::NotAnObject),
        ("\"model\"", Malformed::NotAnObject),
        ("\u{feff}{}", Malformed::ByteOrderMark),
        ("{}{}", Malformed::NotJson),
        ("{}\0", Malformed::NotJson),
        ("{\"a\":1,}", Malformed::NotJson),
        ("{\"a\":01}", Malformed::NotJson),
        ("{\"a\":1.}", Malformed::NotJson),
        ("{\"a\":+1}", Malformed::NotJson),
        ("{\"a\":NaN}", Malformed::NotJson),
        ("{'a':1}", Malformed::NotJson),
        ("{\"a\":\"\t\"}", Malformed::NotJson),
        ("{\"a\":\"\\q\"}", Malformed::NotJson),
        ("{\"a\":\"\\ud800\"}", Malformed::NotJson),
        ("{\"a\":\"\\ud800\\u0041\"}", Malformed::NotJson),
        ("{\"a\":\"\\udc00\"}", Malformed::NotJson),
        ("{\"a\":[1}", Malformed::NotJson),
        ("{\"a\" 1}", Malformed::NotJson),
        ("{\"a\":tru}", Malformed::NotJson),
        (
            "{\"model\":\"a\",\"model\":\"a\"}",
            Malformed::Twice("model"),
        ),
        (
            "{\"model\":\"a\",\"mod\\u0065l\":null}",
            Malformed::Twice("model"),
        ),
        ("{\"tools\":[],\"tools\":[]}", Malformed::Twice("tools")),
        (
            "{\"tools\":[{\"type\":\"a\",\"type\":\"b\"}]}",
            Malformed::Twice("the type of a tool"),
        ),
    ] {
        assert_eq!(facts(body), Err(expected), "{body}");
    }
    assert!(facts("{\"a\":\"\\ud83d\\ude00\"}").is_ok());
    assert!(facts(&deep(126)).is_ok());
    assert_eq!(facts(&deep(128)), Err(Malformed::TooDeep));
    for body in [
        "{\"model\":7}",
        "{\"model\":\"\"}",
        "{\"model\":[\"a\"]}",
        "{\"max_output_tokens\":1e3}",
        "{\"max_output_tokens\":-1}",
        "{\"max_output_tokens\":99999999999999999999}",
        "{\"background\":\"true\"}",
        "{\"store\":0}",
        "{\"tools\":{}}",
        "{\"tools\":[[]]}",
        "{\"tools\":[{}]}",
        "{\"tools\":[{\"type\":7}]}",
        "{\"tools\":[{\"type\":\"a\",\"tools\":[{}]}]}",
    ] {
        assert!(matches!(facts(body), Err(Malformed::Not(..))), "{body}");
    }
    let long = format!("{{\"model\":\"{}\"}}", "m".repeat(257));
    assert!(facts(&long).is_err());
    let many: Vec<String> = (0..65)
        .map(|at| format!("{{\"type\":\"t{at}\"}}"))
        .collect();
    assert_eq!(
        facts(&format!("{{\"tools\":[{}]}}", many.join(","))),
        Err(Malformed::TooManyTools)
    );
}

#[test]
fn text_is_checked_where_it_is_cut_and_where_it_is_long() {
    let text = "é€😀".repeat(1_000);
    assert!(facts(&format!("{{\"input\":\"{text}\",\"model\":\"é\"}}")).is_ok());
    for bad in [
        &b"\xff"[..],
        b"\xc3",
        b"\xe2\x82",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xc0\xaf",
    ] {
        let body = [b"{\"a\":\"", bad, b"\"}"].concat();
        for size in 1..body.len() {
            assert_eq!(
                inspected(RequestEncoding::Identity, body.chunks(size)),
                Err(Malformed::NotJson),
                "{bad:?} {size}"
            );
        }
    }
}

pub(super) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub(super) fn zstd(bytes: &[u8]) -> Vec<u8> {
    compress_to_vec(bytes, CompressionLevel::Fastest)
}

#[test]
fn compressed_bodies_are_read_however_they_are_cut() {
    let text = format!(
        "{{\"input\":\"{}\",\"model\":\"gpt-5\"}}",
        "some text ".repeat(40_000)
    );
    let (head, tail) = text.as_bytes().split_at(1_000);
    let skippable = [&[0x55, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
    for (encoding, body) in [
        (RequestEncoding::Gzip, gzip(text.as_bytes())),
        (RequestEncoding::Gzip, [gzip(head), gzip(tail)].concat()),
        (RequestEncoding::Zstd, zstd(text.as_bytes())),
        (
            RequestEncoding::Zstd,
            [zstd(head), skippable, zstd(tail)].concat(),
        ),
    ] {
        for size in [1, 5, 1_000, 1 << 20] {
            let found = inspected(encoding, body.chunks(size)).unwrap();
            assert_eq!(
                (found.bytes, found.model.as_deref()),
                (text.len() as u64, Some("gpt-5"))
            );
        }
        for end in [0, 3, 9, body.len() / 2, body.len() - 1] {
            assert!(
                inspected(encoding, [&body[..end]]).is_err(),
                "{encoding:?} {end}"
            );
        }
        let behind = [&body[..], b"x"].concat();
        assert!(inspected(encoding, [&behind[..]]).is_err());
        let mut changed = body.clone();
        let place = body.len() - 3;
        changed[place] ^= 1;
        assert!(inspected(encoding, [&changed[..]]).is_err(), "{encoding:?}");
    }
}

/// Sixty-four megabytes in two kilobytes: a block is one byte, 128 Ki times.
fn bomb() -> Vec<u8> {
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    let block = |is_last: u32| ((128 * 1024) << 3 | 1 << 1 | is_last).to_le_bytes();
    for at in 0..512_u32 {
        frame.extend_from_slice(&block(u32::from(at == 511))[..3]);
        frame.push(b' ');
    }
    frame
}

#[test]
fn what_decodes_to_too_much_is_given_up_as_soon_as_it_does() {
    let most = 1024 * 1024;
    let bomb = bomb();
    let mut inspector = RequestInspector::new(RequestEncoding::Zstd, most);
    assert_eq!(inspector.push(&bomb), Err(Malformed::TooLarge(most)));
    assert_eq!(inspector.push(b"more"), Err(Malformed::TooLarge(most)));
    // Without that limit all of it is read, and nothing is in it.
    assert_eq!(
        inspected(RequestEncoding::Zstd, [&bomb[..]]),
        Err(Malformed::NotJson)
    );
    let mut inspector = RequestInspector::new(RequestEncoding::Gzip, most);
    let pushed = inspector.push(&gzip(&vec![b' '; 8 * 1024 * 1024]));
    assert_eq!(pushed, Err(Malformed::TooLarge(most)));
}

#[test]
fn a_frame_that_needs_much_memory_or_a_dictionary_is_refused_at_its_head() {
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    for header in [
        // A window of 16 MiB.
        &[0x00, 14 << 3][..],
        // One segment of 9 MiB.
        &[0xa0, 0x00, 0x00, 0x90, 0x00],
        // A dictionary.
        &[0x01, 0x58, 0x01],
        // A reserved bit.
        &[0x08, 0x58],
    ] {
        let frame = [&magic[..], header].concat();
        let found = inspected(RequestEncoding::Zstd, frame.chunks(1));
        assert_eq!(found, Err(Malformed::NotDecodable("zstd")), "{header:?}");
    }
}

fn piece() -> impl Strategy<Value = String> {
    let values = prop::sample::select(vec![
        "\"gpt-5\"",
        "\"gpt-4.1\"",
        "null",
        "true",
        "false",
        "7",
        "-1",
        "1e3",
        "1.5",
        "0",
        "[]",
        "{}",
        "[{\"type\":\"function\"}]",
        "[{\"type\":\"web_search\",\"tools\":[{\"type\":\"x\"}]}]",
        "\"\\ud83d\\ude00\"",
        "\"\\ud800\"",
        "\"\u{e9}\"",
        "\"\\u0000\"",
        "[{\"type\":\"a\",\"typ\\u0065\":\"b\"}]",
        "99999999999999999999",
        "1e999",
        "\"\"",
        "{\"model\":\"no\"}",
    ]);
    let names = prop::sample::select(vec![
        "\"model\"",
        "\"mod\\u0065l\"",
        "\"Model\"",
        "\"model \"",
        "\"tools\"",
        "\"store\"",
        "\"background\"",
        "\"stream\"",
        "\"max_output_tokens\"",
        "\"service_tier\"",
        "\"previous_response_id\"",
        "\"conversation\"",
        "\"prompt\"",
        "\"input\"",
        "\"\\u006dodel\"",
        "\"\"",
    ]);
    (names, values, prop::sample::select(vec!["", " ", "\n"]))
        .prop_map(|(name, value, space)| format!("{name}{space}:{space}{value}"))
}

/// As many as PROPTEST_CASES says, if that is more.
fn cases() -> ProptestConfig {
    let config = ProptestConfig::default();
    ProptestConfig {
        cases: config.cases.max(2_000),
        failure_persistence: None,
        ..config
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn any_body_is_read_as_another_parser_reads_it(
        members in prop::collection::vec(piece(), 0..6),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..8_u8), 0..3),
        size in 1..40_usize,
        coding in 0..6_u8,
    ) {
        let mut body = format!("{{{}}}", members.join(",")).into_bytes();
        for (place, byte, kind) in changes {
            let at = place.index(body.len() + 1);
            match kind {
                0 if at < body.len() => body[at] = byte,
                1 if at < body.len() => { body.remove(at); }
                2 => body.insert(at, byte),
                3 => { body.splice(at..at, *b"\"model\":\"gpt-4.1\","); }
                4 => { body.splice(at..at, [0xef, 0xbb, 0xbf]); }
                5 => { body.splice(at..at, *b"\\ud800"); }
                6 => body.truncate(at),
                _ => { body.splice(at..at, *b",{}"); }
            }
        }
        let (encoding, sent) = match coding {
            0 => (RequestEncoding::Gzip, gzip(&body)),
            1 => (RequestEncoding::Zstd, zstd(&body)),
            _ => (RequestEncoding::Identity, body.clone()),
        };
        compare(&body, inspected(encoding, sent.chunks(size)));
    }
}
