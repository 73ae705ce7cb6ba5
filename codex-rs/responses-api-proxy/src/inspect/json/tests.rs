use super::*;

use proptest::prelude::*;

/// Is given the values of all top-level members and of those of the object `in`, as it finds them.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen(Vec<String>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Root,
    In,
    Member,
}

impl Visitor for Seen {
    type Place = Place;

    fn member(&self, of: Place, name: &str) -> Option<Place> {
        match (of, name) {
            (Place::Root, "in") => Some(Place::In),
            (Place::Root | Place::In, name) => (!name.starts_with('-')).then_some(Place::Member),
            (Place::Member, _) => None,
        }
    }

    fn value(&mut self, _: Place, value: Value<'_>) -> ControlFlow<()> {
        self.0.push(match value {
            Value::String(text) => format!("{text:?}"),
            Value::Number(number) => number.to_owned(),
            Value::Boolean => "bool".to_owned(),
            Value::Null => "null".to_owned(),
            Value::Object => "{".to_owned(),
            Value::Array => "[".to_owned(),
        });
        if value == Value::String("stop") {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }
}

fn read(document: &[u8], sizes: &[usize]) -> (Vec<String>, Ended) {
    let mut reader = JsonReader::new(Place::Root);
    let mut seen = Seen::default();
    for piece in pieces(document, sizes) {
        reader.push(piece, &mut seen);
        assert_eq!(reader.buffer.capacity(), BUFFER);
        assert!(reader.position.open.capacity() <= 2 * MAX_DEPTH);
    }
    let ended = reader.finish(&mut seen);
    (seen.0, ended)
}

/// In pieces of these sizes, over and over; whole if there are none.
pub(in crate::inspect) fn pieces<'a>(mut bytes: &'a [u8], sizes: &[usize]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    let mut sizes = sizes.iter().cycle();
    while !bytes.is_empty() {
        let size = sizes.next().copied().unwrap_or(usize::MAX);
        let (piece, rest) = bytes.split_at(size.clamp(1, bytes.len()));
        pieces.push(piece);
        bytes = rest;
    }
    pieces
}

/// However the document is cut.
#[track_caller]
fn assert_read(document: &[u8], values: &[&str], ended: Ended) {
    for sizes in [&[][..], &[1], &[2], &[7], &[1000]] {
        let (seen, how) = read(document, sizes);
        assert_eq!(seen, values, "in pieces of {sizes:?}");
        assert_eq!(how, ended, "in pieces of {sizes:?}");
    }
}

#[test]
fn values_of_interest_are_given_with_their_escapes_decoded() {
    for (document, values) in [
        ("7", &["7"][..]),
        (" [1, {\"a\": 2}] ", &["["]),
        (r#"{"a":"b"}"#, &["{", r#""b""#]),
        (
            r#"{"a":1,"b":-2.5e3,"c":true,"d":null,"e":[9],"f":{"g":9}}"#,
            &["{", "1", "-2.5e3", "bool", "null", "[", "{"],
        ),
        (
            r#"{"in":{"a":1,"in":2,"-":3},"b":4,"-":[{"b":5}],"-c":{"in":{"a":6}},"d":7}"#,
            &["{", "{", "1", "2", "4", "7"],
        ),
        (
            r#"{"\u0061":"\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00","b":"é😀"}"#,
            &["{", r#""\"\\/\u{8}\u{c}\n\r\té😀""#, r#""é😀""#],
        ),
        (r#"{"a":1,"a":2}"#, &["{", "1", "2"]),
    ] {
        assert_read(document.as_bytes(), values, Ended::Whole);
    }
}

#[test]
fn a_visitor_that_has_what_it_wants_is_given_no_more() {
    assert_read(
        br#"{"a":"stop","b":1,,,"#,
        &["{", r#""stop""#],
        Ended::Stopped,
    );
}

#[test]
fn long_strings_are_read_as_empty_and_their_ends_are_found() {
    let longest = "x".repeat(MAX_STRING);
    let document = format!(r#"{{"a":"{longest}","b":"{longest}y","{longest}y":1,"c":"z"}}"#);
    let longest = format!("{longest:?}");
    let values = ["{", &longest, r#""""#, "1", r#""z""#];
    assert_read(document.as_bytes(), &values, Ended::Whole);

    for filling in [r"\\", r#"\""#, r"\u0041", "{}[],:", r#"\\\""#] {
        for before in 0..8 {
            let text = "x".repeat(before) + &filling.repeat(2000);
            for document in [
                format!(r#"{{"a":"{text}","b":1}}"#),
                format!(r#"{{"-":["{text}",{{"{text}":1}}],"a":"","b":1}}"#),
                format!(
                    r#"{{"-":["{}",["{filling}"]],"a":"","b":1}}"#,
                    "x".repeat(before)
                ),
            ] {
                assert_read(document.as_bytes(), &["{", r#""""#, "1"], Ended::Whole);
            }
        }
    }
}

#[test]
fn what_is_not_json_is_unreadable() {
    for document in [
        "{,}",
        "{\"a\" 1}",
        "{\"a\":1]",
        "{\"-\":[}",
        "tru ",
        "{\"a\":01}",
        "{\"a\":1}{",
        "{\"a\":1} x",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\n\"}",
        "{\"a\":\"\\ud800\",\"b\":\"c\"}",
        "nan ",
        "{\"a\":1\"b\":2}",
        "{'a':1}",
        "{\"a\":+1}",
        "]  ",
        "\u{1}  ",
    ] {
        for sizes in [&[][..], &[1], &[2], &[3]] {
            let (_, ended) = read(document.as_bytes(), sizes);
            assert_eq!(
                ended,
                Ended::Unreadable,
                "{document:?} in pieces of {sizes:?}"
            );
        }
    }
    let (_, ended) = read(b"{\"a\":\"\xff\"}", &[]);
    assert_eq!(ended, Ended::Unreadable);
}

#[test]
fn a_document_that_is_cut_is_not_called_unreadable() {
    let document = br#"{"a":"b\u00e9","in":{"x":[1,"c"],"-":[{"d":"\"]"}]},"e":false,"f":-1.5e9}"#;
    let (all, ended) = read(document, &[]);
    assert_eq!(ended, Ended::Whole);
    for end in 0..document.len() {
        let (seen, ended) = read(&document[..end], &[]);
        assert_eq!(ended, Ended::Early, "{end}");
        // A number may be cut too.
        assert!(
            all.iter()
                .zip(&seen)
                .all(|(whole, seen)| whole.starts_with(seen))
        );
    }
}

/// Whatever an upstream sends, there is a kilobyte for it.
#[test]
fn memory_is_bounded_whatever_the_document_is() {
    const SIZE: usize = 8 << 20;
    let in_whole = [16 << 10];
    let long = "x".repeat(SIZE);
    let (seen, ended) = read(
        format!(r#"{{"{long}":"{long}","a":1}}"#).as_bytes(),
        &in_whole,
    );
    assert_eq!(
        (seen, ended),
        (vec!["{".into(), r#""""#.into(), "1".into()], Ended::Whole)
    );
    for hostile in [
        format!(r#"{{"a":{}}}"#, "1".repeat(SIZE)),
        format!(r#"{{"a":{}}}"#, "t".repeat(SIZE)),
        format!(r#"{{"-":{}"#, "[".repeat(1_000_000)),
        format!("{}{}", r#"{"in":"#.repeat(1_000_000), "}".repeat(1_000_000)),
        "[".repeat(1_000_000),
        r#"{"-":["#.repeat(1_000_000),
        "\u{feff}".repeat(SIZE / 3),
        "\0".repeat(SIZE),
    ] {
        let (_, ended) = read(hostile.as_bytes(), &in_whole);
        assert_eq!(ended, Ended::Unreadable, "{:?}", &hostile[..20]);
    }
    let spaces = format!("{}1{}", " \r\n\t".repeat(SIZE / 4), " \r".repeat(SIZE / 2));
    assert_eq!(
        read(spaces.as_bytes(), &in_whole),
        (vec!["1".into()], Ended::Whole)
    );
}

#[test]
fn numbers_and_depth_have_the_limits_named() {
    let number = |digits| format!(r#"{{"a":{}}}"#, "1".repeat(digits));
    assert_eq!(read(number(MAX_NUMBER).as_bytes(), &[]).1, Ended::Whole);
    for digits in [MAX_NUMBER + 1, BUFFER - 6, BUFFER - 5, BUFFER, BUFFER + 1] {
        let ended = Ended::Unreadable;
        for sizes in [&[][..], &[1], &[900]] {
            assert_eq!(read(number(digits).as_bytes(), sizes).1, ended, "{digits}");
        }
    }
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("{\"-\":", "}")] {
        let nested = |depth| format!("{}1{}", open.repeat(depth), close.repeat(depth));
        assert_eq!(read(nested(MAX_DEPTH).as_bytes(), &[]).1, Ended::Whole);
        assert_eq!(
            read(nested(MAX_DEPTH + 1).as_bytes(), &[]).1,
            Ended::Unreadable
        );
    }
}

proptest! {
    #[test]
    fn it_reads_the_same_however_a_document_is_cut(
        document in r#"([{}\[\],:"\\ 1]|"(a|in|-)":|"[a-z]{250,260}"|\\u[d-f][0-9a-f]{3}|true|[0-9]{60,66}|\{"|"\}|,"){0,30}"#,
        sizes in prop::collection::vec(1..400_usize, 1..8),
    ) {
        let whole = read(document.as_bytes(), &[]);
        prop_assert_eq!(&whole, &read(document.as_bytes(), &sizes));
        prop_assert_eq!(&whole, &read(document.as_bytes(), &[1]));
    }
}
