use super::*;

use proptest::prelude::*;

use crate::inspect::json::tests::pieces;

/// An event as the standard has it: its type, empty if it has none, and its data.
type Event = (Vec<u8>, Vec<u8>);

#[derive(Default)]
struct Events {
    name: Vec<u8>,
    data: Option<Vec<u8>>,
    whole: Vec<Event>,
}

impl EventSink for Events {
    fn name(&mut self, name: Option<&[u8]>) {
        self.name = name.unwrap_or(b"(long)").to_vec();
    }

    fn begin(&mut self) {
        assert_eq!(self.data.replace(Vec::new()), None);
    }

    fn data(&mut self, piece: &[u8]) {
        self.data.as_mut().unwrap().extend(piece);
    }

    fn dispatch(&mut self) {
        let name = std::mem::take(&mut self.name);
        self.whole.push((name, self.data.take().unwrap()));
    }

    fn ignore(&mut self) {
        assert_eq!(self.data, None);
        self.name.clear();
    }
}

fn events(stream: &[u8], sizes: &[usize]) -> Vec<Event> {
    let mut events = Events::default();
    let mut decoder = EventStream::new();
    for piece in pieces(stream, sizes) {
        decoder.push(piece, &mut events);
    }
    events.whole
}

/// The standard's steps, one by one, on the whole of a stream.
fn events_by_the_standard(stream: &[u8]) -> Vec<Event> {
    let mut stream = stream.strip_prefix(BOM).unwrap_or(stream);
    let mut whole = Vec::new();
    let (mut name, mut data) = (Vec::new(), Vec::new());
    while let Some(end) = stream.iter().position(|byte| b"\r\n".contains(byte)) {
        let line = &stream[..end];
        stream = &stream[end
            + if stream[end..].starts_with(b"\r\n") {
                2
            } else {
                1
            }..];
        if line.is_empty() {
            let name = std::mem::take(&mut name);
            let mut data = std::mem::take(&mut data);
            if data.pop().is_some() {
                whole.push((name, data));
            }
            continue;
        }
        let colon = line
            .iter()
            .position(|&byte| byte == b':')
            .unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" if value.len() > MAX_NAME => name = b"(long)".to_vec(),
            b"event" => name = value.to_vec(),
            b"data" => {
                data.extend(value);
                data.push(b'\n');
            }
            _ => {}
        }
    }
    whole
}

#[test]
fn streams_are_read_as_the_standard_says() {
    let long = format!("event:{}\ndata:1\n\n", "x".repeat(65));
    let longest = format!("event:{}\ndata:1\n\n", "x".repeat(64));
    for (stream, expected) in [
        ("data: a\n\n", &[("", "a")][..]),
        ("event: e\ndata: a\n\ndata: b\n\n", &[("e", "a"), ("", "b")]),
        (
            "data: a\rdata: b\r\rdata: c\r\n\r\n",
            &[("", "a\nb"), ("", "c")],
        ),
        ("data:a\ndata:  b\ndata\ndata:\n\n", &[("", "a\n b\n\n")]),
        ("data\n\n", &[("", "")]),
        (
            ":comment\nid: 1\nretry: 5\nother\ndata : x\ndata: a\n\n",
            &[("", "a")],
        ),
        ("\u{feff}data: a\n\n", &[("", "a")]),
        ("\u{feff}\u{feff}data: a\n\ndata: b\n\n", &[("", "b")]),
        ("event: e\n\ndata: a\n\n", &[("", "a")]),
        ("event: e\nevent: f\ndata: a\n\n", &[("f", "a")]),
        ("event: e\nevent\ndata: a\n\n", &[("", "a")]),
        ("data: a\nevent: e\n\n", &[("e", "a")]),
        ("data: a\n", &[]),
        ("data: a", &[]),
        ("data: a\r\n", &[]),
        ("\n\r\n\r\r", &[]),
        (
            "event: response.output_text.delta\ndata: a\n\n",
            &[("response.output_text.delta", "a")],
        ),
        (
            "event: response.output_text.delta\r\ndata: a\r\n\r\n",
            &[("response.output_text.delta", "a")],
        ),
        (&long, &[("(long)", "1")]),
        (&longest, &[(&longest[6..70], "1")]),
    ] {
        let expected: Vec<Event> = expected
            .iter()
            .map(|(name, data)| (name.as_bytes().to_vec(), data.as_bytes().to_vec()))
            .collect();
        assert_eq!(
            events_by_the_standard(stream.as_bytes()),
            expected,
            "{stream:?}"
        );
        for sizes in [&[][..], &[1], &[2], &[3], &[7]] {
            assert_eq!(
                events(stream.as_bytes(), sizes),
                expected,
                "{stream:?}, {sizes:?}"
            );
        }
    }
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        3 => "(data|event|id|retry|dat|datax|da ta|)(:| :|: |:  |)[a-z:é ]{0,12}",
        1 => "event: response\\.(output_text\\.delta|completed)",
        1 => "event: ?[a-z]{60,68}",
        1 => ":[ -~]{0,20}",
        3 => Just(String::new()),
    ];
    let end = prop_oneof![3 => Just("\n"), 1 => Just("\r"), 1 => Just("\r\n")];
    let start = prop_oneof![3 => Just(&b""[..]), 1 => Just(BOM), 1 => Just(&BOM[..2])];
    (start, prop::collection::vec((line, end), 0..40)).prop_map(|(start, lines)| {
        let mut stream = start.to_vec();
        for (line, end) in lines {
            stream.extend(line.bytes());
            stream.extend(end.bytes());
        }
        stream
    })
}

proptest! {
    #[test]
    fn it_finds_the_events_that_the_standard_s_steps_find(
        stream in stream(),
        sizes in prop::collection::vec(1..40_usize, 1..8),
    ) {
        let expected = events_by_the_standard(&stream);
        prop_assert_eq!(&events(&stream, &[]), &expected);
        prop_assert_eq!(&events(&stream, &sizes), &expected);
        prop_assert_eq!(&events(&stream, &[1]), &expected);
    }
}
