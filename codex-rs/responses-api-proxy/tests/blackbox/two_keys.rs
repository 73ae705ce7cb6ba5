//! Nothing a caller gets depends on the key, unless the upstream sends the whole key.
//!
//! Two proxies with two keys of one length, one upstream, the same requests: what arrives is compared
//! byte by byte and chunk by chunk.

use std::time::Duration;

use codex_test_support::{Client, CutKind, MockUpstream, Proxy, Reply, Step};

use crate::{PROXY, RESPONSES};

/// They differ from the first byte behind the prefix on.
const KEY: &str = "sk-proj-A1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q7r8S9t0U1v";
const OTHER: &str = "sk-proj-Z9y8X7w6V5u4T3s2R1q0P9o8N7m6L5k4J3i2H1g0F9e";

/// What comes behind a beginning of the key.
const ENDINGS: [&str; 4] = ["end", "cut", "other", "newline"];

/// One answer: `ENDING LENGTH`, a beginning of the first key of that length at the end of a piece, and
/// what becomes of it.
fn answer(order: &str) -> Reply {
    let (ending, length) = order.split_once(' ').unwrap();
    let beginning = &KEY[..length.parse().unwrap()];
    let pieces: Vec<String> = match ending {
        "end" | "cut" => vec![format!("data: {beginning}")],
        "other" => vec![format!("data: {beginning}"), "_x and on".to_owned()],
        _ => vec![
            format!("data: {beginning}"),
            "\n\ndata: ".to_owned(),
            beginning.to_owned(),
        ],
    };
    let steps = pieces.into_iter().flat_map(|piece| {
        // Time for each piece to leave on its own.
        [
            Step::Data(piece.into()),
            Step::Pace(Duration::from_millis(40)),
        ]
    });
    let reply = Reply::event_stream().steps(steps);
    match ending {
        "cut" => reply.cut(CutKind::Fin),
        _ => reply,
    }
}

fn orders() -> Vec<String> {
    let lengths = [0, 1, 3, 4, 5, 8, 9, 10, 11, 12, 20, 30, 49, 50];
    let orders = ENDINGS
        .iter()
        .flat_map(|ending| lengths.map(|length| format!("{ending} {length}")));
    orders.collect()
}

/// Everything behind the head of the answer, as it stands on the wire.
fn bodies(proxy: &Proxy, orders: &[String]) -> Vec<String> {
    let mut callers: Vec<Client> = orders
        .iter()
        .map(|order| {
            let mut caller = proxy.client();
            caller.post(RESPONSES, &[("connection", "close")], order);
            caller
        })
        .collect();
    let bodies = callers.iter_mut().map(|caller| {
        let (bytes, end) = caller.read_to_close();
        let text = String::from_utf8(bytes).unwrap();
        let (_, body) = text.split_once("\r\n\r\n").unwrap();
        format!("{end:?} {body:?}")
    });
    bodies.collect()
}

#[test]
fn two_keys_give_the_same_answers_chunk_by_chunk() {
    for start in [MockUpstream::h1, MockUpstream::tls_h1, MockUpstream::h2] {
        let upstream = start(Reply::made(|request| answer(&request.text())));
        let with = |key: &str| Proxy::builder(PROXY).upstream(&upstream).key(key).start();
        let (one, other) = (with(KEY), with(OTHER));
        let mut orders = orders();
        // A piece may be late on a busy machine and leave with the next one; what the key does, it does
        // every time.
        for turn in 1.. {
            let pairs = bodies(&one, &orders)
                .into_iter()
                .zip(bodies(&other, &orders));
            let differing: Vec<_> = orders
                .iter()
                .cloned()
                .zip(pairs)
                .filter(|(_, (one, other))| one != other)
                .collect();
            if differing.is_empty() {
                break;
            }
            assert!(turn < 5, "{differing:#?}");
            orders = differing.into_iter().map(|(order, _)| order).collect();
        }
    }
}
