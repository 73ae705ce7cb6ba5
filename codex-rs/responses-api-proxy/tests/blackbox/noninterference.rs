//! What a caller can see does not depend on the key, as long as all of it is nowhere in the
//! answer: two proxies with different keys, the same answers of the upstream, and every byte
//! that the callers get compared, framing included.
//!
//! The upstream never sends a whole key here. What it sends are beginnings of one of the two,
//! as a caller can have them sent: the Responses API repeats `instructions`.

use codex_test_support::{CutKind, End, Framing, Gate, MockUpstream, Proxy, Reply, Step, TEST_KEY};

use crate::{RESPONSES, in_front_of};

/// As long as [`TEST_KEY`], and unlike it from the fourth character on.
const OTHER_KEY: &str = "sk-4mVq8Zt1LrXo6Ys0-Nw3Bd7_GhKc2Pf5JuEaTiRxMvQyWzS9";

const PROTOCOLS: [fn(Reply) -> MockUpstream; 3] =
    [MockUpstream::h1, MockUpstream::tls_h1, MockUpstream::h2];

/// A proxy with either key, each before an upstream of its own with the same script.
fn both(upstreams: &[MockUpstream; 2]) -> [Proxy; 2] {
    assert_eq!(OTHER_KEY.len(), TEST_KEY.len());
    [
        in_front_of(&upstreams[0]).start(),
        in_front_of(&upstreams[1]).key(OTHER_KEY).start(),
    ]
}

/// All bytes of an answer but the date, and how they ended. As soon as a mark is there, its gate
/// is opened.
#[track_caller]
fn all_bytes(proxy: &Proxy, body: &str, known: &str, marks: &[(String, Gate)]) -> (String, End) {
    let mut client = proxy.client().knowing(known);
    client.post(RESPONSES, &[("connection", "close")], body);
    for (mark, gate) in marks {
        client.wait_for_raw(mark);
        gate.release();
    }
    let (bytes, end) = client.read_to_close();
    let text = String::from_utf8(bytes).unwrap();
    let lines = text.split_inclusive("\r\n");
    // The time, and the name of the request, which begins with a random number.
    let differ = ["date: ", "x-codex-proxy-request-id: "];
    let alike = lines.filter(|line| !differ.iter().any(|name| line.starts_with(name)));
    (alike.collect(), end)
}

#[test]
fn pieces_that_end_in_any_beginning_of_the_key_leave_alike_whatever_the_key_is() {
    let pieces: Vec<String> = (1..TEST_KEY.len())
        .map(|len| format!("data: {len}.\n{}", &TEST_KEY[..len]))
        .collect();
    for start in PROTOCOLS {
        let mut seen = Vec::new();
        for key in [TEST_KEY, OTHER_KEY] {
            let gates: Vec<Gate> = pieces.iter().map(|_| Gate::new()).collect();
            let script = pieces
                .iter()
                .zip(&gates)
                .fold(Reply::event_stream(), |reply, (piece, gate)| {
                    reply.data(piece.clone()).hold(gate)
                });
            let upstream = start(script.data(".\n\n"));
            let proxy = if key == TEST_KEY {
                in_front_of(&upstream).start()
            } else {
                in_front_of(&upstream).key(key).start()
            };
            let marks = (1..TEST_KEY.len()).map(|len| format!("data: {len}.\n"));
            let marks: Vec<_> = marks.zip(gates).collect();
            seen.push(all_bytes(&proxy, "{}", &pieces.concat(), &marks));
        }
        let chunks = seen[0].0.matches("data: ").count();
        assert_eq!(chunks, pieces.len());
        assert_eq!(seen[0], seen[1]);
    }
}

#[test]
fn answers_that_end_in_any_beginning_of_the_key_end_alike_whatever_the_key_is() {
    let texts: Vec<String> = (1..TEST_KEY.len())
        .map(|len| format!("data: x\n{}", &TEST_KEY[..len]))
        .collect();
    for start in PROTOCOLS {
        let script = || {
            let texts = texts.clone();
            start(Reply::made(move |request| {
                let text = request.text();
                let (len, how) = text.split_once(' ').unwrap();
                let data = texts[len.parse::<usize>().unwrap()].clone();
                match how {
                    "length" => Reply::new(200)
                        .framing(Framing::ContentLength)
                        .step(Step::Data(data.into())),
                    "chunked" => Reply::event_stream().data(data),
                    _ if request.authority.is_some() => {
                        Reply::event_stream().data(data).cut(CutKind::RstStream(2))
                    }
                    _ => Reply::event_stream().data(data).cut(CutKind::Fin),
                }
            }))
        };
        let upstreams = [script(), script()];
        let proxies = both(&upstreams);
        for how in ["length", "chunked", "cut"] {
            for (index, text) in texts.iter().enumerate() {
                let [one, other] = proxies
                    .each_ref()
                    .map(|proxy| all_bytes(proxy, &format!("{index} {how}"), text, &[]));
                assert_eq!(one, other, "{how}");
                let is_whole = how == "length" || one.0.ends_with("\r\n0\r\n\r\n");
                assert_eq!(is_whole, how != "cut", "{}", one.0);
                // Unchanged, whatever pieces it comes in.
                let end = &TEST_KEY[..=index];
                assert!(one.0.contains(end), "{how}: {}", one.0);
            }
        }
        for proxy in &proxies {
            assert!(!proxy.stderr_so_far().contains("sent the key back"));
        }
    }
}
