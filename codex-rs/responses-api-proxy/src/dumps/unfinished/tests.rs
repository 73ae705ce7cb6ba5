use std::fs;

use crate::credential::known_keys::KnownKeys;
use crate::dumps::name::Half;

use super::*;

const KEY: &str = "sk-Secret-0123456789";
const TOKEN: &str = "token-of-alice";

const NAME: DumpName = DumpName {
    unix_ms: 1_795_893_034_154,
    number: 7,
    half: Half::Response,
};

struct Fixture {
    dir: tempfile::TempDir,
    store: Store,
}

impl Fixture {
    fn new(limit: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (directory, found) = DumpDirectory::open(dir.path(), None).unwrap();
        let retention = Retention::new(limit, found);
        Self {
            dir,
            store: Store {
                directory,
                retention,
            },
        }
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read(&self) -> String {
        fs::read_to_string(self.dir.path().join(NAME.to_string())).unwrap()
    }

    fn write(&mut self, body: &[u8], piece: usize, is_whole: bool) -> Result<(), DumpError> {
        let mut dump = begun();
        for piece in body.chunks(piece) {
            if let Err(error) = dump.take(piece, &mut self.store) {
                dump.give_up(&mut self.store);
                return Err(error);
            }
        }
        dump.finish(is_whole, &mut self.store)
    }
}

fn begun() -> Unfinished {
    let known = KnownKeys::for_tests(KEY.as_bytes());
    let mut headers = http::HeaderMap::new();
    let value = format!("Bearer {TOKEN}").parse().unwrap();
    headers.insert(http::header::AUTHORIZATION, value);
    let begin = Begin {
        user: None,
        head: b"{\n  \"status\": 200,\n  \"headers\": [],\n  \"body\": ".to_vec(),
        redactor: Redactor::new(known, None),
        token: CallerToken::of(&headers, true),
    };
    Unfinished::new(NAME, begin)
}

fn with_body(body: &str) -> String {
    format!("{{\n  \"status\": 200,\n  \"headers\": [],\n  \"body\": {body}\n}}\n")
}

#[test]
fn a_body_is_a_value_if_it_is_json_and_a_string_if_not() {
    for (body, expected) in [
        (
            &b"{\"a\":[1, 2.50]}"[..],
            "{\n    \"a\": [\n      1,\n      2.50\n    ]\n  }",
        ),
        (b" \"text\" ", "\"text\""),
        (b"", "\"\""),
        (b" ", "\" \""),
        (b"not json {", "\"not json {\""),
        (b"{\"a\":", "\"{\\\"a\\\":\""),
        (b"\xff\xfe{", "\"\u{fffd}\u{fffd}{\""),
        (b"\"\xe2\x82\"", "\"\\\"\u{fffd}\\\"\""),
        (b"\"\xe2\x82", "\"\\\"\u{fffd}\""),
        (b"data: h\xc3\xa9\x01\n\n", "\"data: h\u{e9}\\u0001\\n\\n\""),
    ] {
        for piece in 1..=body.len().max(1) {
            let mut fixture = Fixture::new(1 << 20);
            fixture.write(body, piece, true).unwrap();
            assert_eq!(fixture.read(), with_body(expected));
            assert_eq!(fixture.names(), [NAME.to_string()]);
        }
    }
}

#[test]
fn a_long_body_is_on_the_disk_before_it_is_whole() {
    let list = vec!["x".repeat(100); 1000];
    let json = serde_json::to_string(&list).unwrap();
    let cut = json.strip_suffix(']').unwrap();
    for (body, is_json) in [
        (&*json, true),
        (cut, false),
        (&"data: x\n".repeat(10_000), false),
    ] {
        let mut fixture = Fixture::new(1 << 20);
        let mut dump = begun();
        let mut longest = 0;
        for piece in body.as_bytes().chunks(1000) {
            dump.take(piece, &mut fixture.store).unwrap();
            let value = dump.value.as_ref();
            let buffered = value.map_or(0, |(draft, _)| draft.buffer.len());
            longest = longest.max(buffered + dump.text.buffer.len());
        }
        assert!(longest < 2 * BUFFERED, "{longest}");
        let unfinished = fixture.names();
        assert!(unfinished.iter().all(|name| DumpName::is_unfinished(name)));
        assert_eq!(unfinished.len(), if body.starts_with('[') { 2 } else { 1 });
        dump.finish(true, &mut fixture.store).unwrap();
        assert_eq!(fixture.names(), [NAME.to_string()]);
        let read: serde_json::Value = serde_json::from_str(&fixture.read()).unwrap();
        if is_json {
            assert_eq!(read["body"], serde_json::json!(list));
        } else {
            assert_eq!(read["body"], body);
        }
    }
}

#[test]
fn a_body_that_is_not_whole_is_said_not_to_be() {
    let mut fixture = Fixture::new(1 << 20);
    fixture.write(b"data: 1\n\n", 4, false).unwrap();
    let read: serde_json::Value = serde_json::from_str(&fixture.read()).unwrap();
    assert_eq!(read["body"], "data: 1\n\n");
    assert_eq!(read["complete"], false);
}

#[test]
fn neither_the_key_nor_the_token_gets_there_wherever_it_is_cut() {
    let body = format!("{{\"k\":\"{KEY}\",\"both\":\"{KEY}{TOKEN}\",\"t\":\"{TOKEN}\"}}");
    for piece in 1..body.len() {
        let mut fixture = Fixture::new(1 << 20);
        fixture.write(body.as_bytes(), piece, true).unwrap();
        let text = fixture.read();
        assert!(!text.contains(KEY) && !text.contains(TOKEN), "{text}");
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["body"]["k"], "*".repeat(KEY.len()));
        assert_eq!(read["body"]["t"], "*".repeat(TOKEN.len()));
    }
}

#[test]
fn one_that_is_larger_than_the_limit_leaves_nothing() {
    for body in [
        "[1,2,3,4]".to_owned(),
        format!("[{}1]", "1,".repeat(20_000)),
    ] {
        let limit = u64::try_from(body.len()).unwrap();
        let mut fixture = Fixture::new(limit);
        let error = fixture.write(body.as_bytes(), 999, true).unwrap_err();
        assert!(matches!(error, DumpError::TooLarge));
        assert_eq!(fixture.names(), [] as [&str; 0]);
        // The room is free again.
        fixture.store.retention.reserve(limit, |_| Ok(())).unwrap();
    }
}

#[test]
fn where_the_directory_is_gone_it_is_an_error() {
    let mut fixture = Fixture::new(1 << 20);
    fs::remove_dir(fixture.dir.path()).unwrap();
    for body in ["{}".to_owned(), "x".repeat(100_000)] {
        let error = fixture.write(body.as_bytes(), 1000, true).unwrap_err();
        assert!(matches!(error, DumpError::Io(_)), "{error:?}");
    }
    fs::create_dir(fixture.dir.path()).unwrap();
}

#[test]
fn a_dump_that_is_too_large_takes_the_place_of_no_other() {
    let mut fixture = Fixture::new(256 * 1024);
    for number in 0..4 {
        let name = DumpName { number, ..NAME };
        fs::write(fixture.dir.path().join(name.to_string()), "dump").unwrap();
        fixture.store.retention.keep(name, 60 * 1024);
    }
    let error = fixture.write(&[b'x'; 80 * 1024], 1024, true).unwrap_err();
    assert!(matches!(error, DumpError::TooLarge), "{error:?}");
    // What it was given until then is at most a quarter.
    assert!(fixture.names().len() >= 3, "{:?}", fixture.names());
    assert!(fixture.write(&[b'x'; 40 * 1024], 1024, true).is_ok());
}
