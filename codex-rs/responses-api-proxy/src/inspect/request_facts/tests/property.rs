//! `serde_json` is the judge of bodies that were changed at random, cut at random, and encoded.

#[path = "../../../fuzzing/request_facts.rs"]
#[expect(unreachable_pub, reason = "fuzz targets call it as well")]
mod holds;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

const BODIES: &[&str] = &[
    r#"{"model":"gpt-5.6-codex","instructions":"You are \"Codex\".\nBe brief.","input":[{"type":"message","role":"user","content":[{"type":"input_text","text":"na\u00efve caf\u00e9 \ud83d\ude00 é 😀 \\ \/ \t"}]}],"tools":[{"type":"function","name":"shell","parameters":{"type":"object","properties":{"type":{"type":"string"}}},"strict":false},{"type":"web_search"}],"tool_choice":"auto","parallel_tool_calls":true,"reasoning":{"effort":"high"},"store":false,"stream":true,"include":["reasoning.encrypted_content"],"prompt_cache_key":"0199","max_output_tokens":4096}"#,
    r#"{"tools":[{"type":"namespace","name":"n","tools":[{"type":"custom","tools":[{"tools":7,"type":"a"}]},{"type":"mcp"}]},{"tools":null,"type":"mcp"}],"model":"m"}"#,
    r#"{ "background" : true , "service_tier" : "priority" , "previous_response_id" : "resp_0" , "conversation" : {} , "prompt" : { "id" : [ ] } , "temperature" : -0.5E+1 , "top_p" : 0 , "x" : [ 1e9 , 10.25 , null , false ] }"#,
    r#"{"input":"hi","max_output_tokens":0,"stream":null,"store":null,"tools":[]}"#,
    "{}",
];

/// What is put into bodies: members, and what is nearly JSON.
const PARTS: &[&[u8]] = &[
    b"\"model\":\"a\",",
    b"\"m\\u006fdel\":null,",
    b",\"model\":\"\"",
    b"\"max_output_tokens\":1e3,",
    b"\"max_output_tokens\":18446744073709551615,",
    b"\"max_output_tokens\":18446744073709551616,",
    b"\"service_tier\":[],",
    b"\"tools\":[],",
    b"\"tools\":[{\"type\":\"b\"}],",
    b"\"type\":\"c\",",
    b"{\"type\":\"d\"},",
    b"{\"name\":0},",
    b"\"store\":0,",
    b"\"stream\":false,",
    b"\"background\":null,",
    b"\"prompt\":\"p\",",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xc3",
    b"\xa9",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98\x80",
    b"\xf0\x9f",
    b"\\ud83d",
    b"\\ude00",
    b"\\u0000",
    b"\\u00e",
    b"\\",
    b"\"",
    b"\n",
    b"\0",
    b" ",
    b"[",
    b"]",
    b"{",
    b"}",
    b",",
    b":",
    b"0",
    b"-",
    b".",
    b"e",
    b"1e999",
    b"null",
    b"true,",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
];

#[derive(Clone, Debug)]
enum Change {
    Put(&'static [u8]),
    /// Behind a byte that a member or a value may follow.
    PutBehindMark(&'static [u8]),
    Remove(usize),
    Set(u8),
    /// So many bytes, once more.
    Repeat(usize),
    End,
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        2 => select(PARTS).prop_map(Change::Put),
        4 => select(PARTS).prop_map(Change::PutBehindMark),
        1 => (1..20_usize).prop_map(Change::Remove),
        1 => any::<u8>().prop_map(Change::Set),
        2 => (1..80_usize).prop_map(Change::Repeat),
        1 => Just(Change::End),
    ]
}

fn changed(body: &str, changes: &[(prop::sample::Index, Change)]) -> Vec<u8> {
    let mut body = body.as_bytes().to_vec();
    for (at, change) in changes {
        let at = at.index(body.len() + 1);
        let until = |length: usize| at..(at + length).min(body.len());
        match *change {
            Change::Put(part) => drop(body.splice(at..at, part.iter().copied())),
            Change::PutBehindMark(part) => {
                let mark = body.get(at..).and_then(|rest| {
                    rest.iter()
                        .position(|byte| matches!(byte, b'{' | b'[' | b','))
                });
                let at = mark.map_or(at, |mark| at + mark + 1);
                drop(body.splice(at..at, part.iter().copied()));
            }
            Change::Remove(length) => drop(body.drain(until(length))),
            Change::Set(byte) => {
                if let Some(found) = body.get_mut(at) {
                    *found = byte;
                }
            }
            Change::Repeat(length) => {
                let part = body[until(length)].to_vec();
                drop(body.splice(at..at, part));
            }
            Change::End => body.truncate(at),
        }
    }
    body
}

/// As many as `PROPTEST_CASES` says, if that is more.
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
    fn a_body_is_read_as_serde_json_reads_it(
        body in select(BODIES),
        changes in vec((any::<prop::sample::Index>(), change()), 0..4),
        mut control in vec(any::<u8>(), 1..8),
    ) {
        let count = control.len() - 1;
        if let Some(first) = control.first_mut() {
            *first = u8::try_from(count).unwrap();
        }
        control.extend(changed(body, &changes));
        holds::request_facts(&control);
    }

    #[test]
    fn encoded_bytes_are_read_the_same_however_they_are_cut(
        body in select(BODIES),
        is_gzip in any::<bool>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        mut control in vec(any::<u8>(), 1..8),
    ) {
        let body = body.repeat(3);
        let mut encoded = super::encoded::encoded(is_gzip, body.as_bytes());
        for (at, byte) in changes {
            let at = at.index(encoded.len());
            encoded[at] = byte;
        }
        let count = control.len() - 1;
        if let Some(first) = control.first_mut() {
            *first = u8::try_from(count).unwrap();
        }
        control.extend(encoded);
        holds::request_encodings(&control);
    }
}
