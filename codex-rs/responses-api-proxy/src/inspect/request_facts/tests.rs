//! Bodies of all kinds, each cut in several ways.

mod encoded;
mod property;

use http::{HeaderMap, HeaderValue};

use super::*;
use crate::refusal::{Reason, Refusal};

fn inspected(encoding: RequestEncoding, body: &[u8], size: usize) -> Result<Facts, Malformed> {
    let mut inspector = RequestInspector::new(encoding, 1 << 20);
    for piece in body.chunks(size) {
        if let Err(failed) = inspector.push(piece) {
            // Whatever comes later.
            assert_eq!(inspector.push(b"}"), Err(failed));
            assert_eq!(inspector.finish(), Err(failed));
            return Err(failed);
        }
    }
    inspector.finish()
}

fn facts(body: impl AsRef<[u8]>) -> Result<Facts, Malformed> {
    let body = body.as_ref();
    let whole = inspected(RequestEncoding::Identity, body, body.len().max(1));
    for size in [1, 2, 3, 7] {
        assert_eq!(
            inspected(RequestEncoding::Identity, body, size),
            whole,
            "in pieces of {size}: {}",
            String::from_utf8_lossy(body)
        );
    }
    whole
}

#[test]
fn a_body_says_what_rules_are_about() {
    let body = r#" {"mod\u0065l":"gpt-\u00e9\ud83d\ude00","max_output_tokens":18446744073709551615,"service_tier":"flex",
        "background":true,"store":false,"stream":true,"previous_response_id":"resp_1","conversation":{"id":"c"},
        "prompt":{"id":"p","model":"other","tools":7},"input":[{"tools":[{"type":"no"}],"model":1,"type":[]}],
        "tools":[{"type":"function","parameters":{"type":1,"tools":2}},
            {"tools":[{"type":"custom"},{"type":"function"}],"type":"namespace"},{"type":"mcp","tools":"all"}],
        "x":1,"x":2} "#;
    let strings = |all: &[&str]| all.iter().map(|&one| one.to_owned()).collect();
    assert_eq!(
        facts(body),
        Ok(Facts {
            bytes: body.len() as u64,
            model: Some("gpt-\u{e9}\u{1f600}".to_owned()),
            max_output_tokens: Some(u64::MAX),
            service_tier: Some("flex".to_owned()),
            background: true,
            store: Some(false),
            stream: true,
            previous_response_id: true,
            conversation: true,
            prompt: true,
            tools: strings(&["function", "custom", "namespace", "mcp"]),
        })
    );
}

#[test]
fn a_name_that_some_readers_take_for_one_that_matters_is_refused() {
    for name in [
        "Model",
        "MODEL",
        "\u{17f}tore",
        "\\u017ftore",
        "bac\u{212a}ground",
        "previou\u{17f}_re\u{17f}pon\u{17f}e_id",
    ] {
        let body = format!("{{\"model\":\"m\",\"{name}\":\"n\"}}");
        assert!(
            matches!(facts(body.as_bytes()), Err(Malformed::Resembling(_))),
            "{name}"
        );
    }
    for name in ["models", "model ", "modèl", "Input"] {
        let body = format!("{{\"model\":\"m\",\"{name}\":\"n\"}}");
        assert!(facts(body.as_bytes()).is_ok(), "{name}");
    }
}

#[test]
fn null_is_as_absent() {
    let body = r#"{"model":null,"max_output_tokens":null,"service_tier":null,"background":null,"store":null,
        "stream":null,"previous_response_id":null,"conversation":null,"prompt":null,"tools":null}"#;
    let bytes = body.len() as u64;
    assert_eq!(
        facts(body),
        Ok(Facts {
            bytes,
            ..Facts::default()
        })
    );
}

#[test]
fn a_member_that_matters_is_there_once() {
    for (body, name) in [
        (r#"{"model":"a","model":"a"}"#, "model"),
        (r#"{"model":null,"m\u006fdel":"a"}"#, "model"),
        (r#"{"store":true,"x":{"store":1},"store":true}"#, "store"),
        (r#"{"tools":[{"type":"a","type":"b"}]}"#, "tools[].type"),
        (
            r#"{"tools":[{"type":"a","tools":1,"tools":[]}]}"#,
            "tools[].tools",
        ),
    ] {
        assert_eq!(facts(body), Err(Malformed::Repeated(name)), "{body}");
    }
    let text = Malformed::Repeated("model").to_string();
    assert_eq!(text, "the request body says `model` twice");
}

#[test]
fn a_member_that_matters_is_of_its_type() {
    let long = |count: usize| format!("\"{}\"", "m".repeat(count));
    let (model, tier) = (long(257), long(65));
    for (name, value) in [
        ("model", "7"),
        ("model", "\"\""),
        ("model", "[]"),
        ("model", &model),
        ("max_output_tokens", "1.0"),
        ("max_output_tokens", "1e3"),
        ("max_output_tokens", "-0"),
        ("max_output_tokens", "\"1\""),
        ("max_output_tokens", "18446744073709551616"),
        ("service_tier", "{}"),
        ("service_tier", &tier),
        ("background", "1"),
        ("store", "\"true\""),
        ("stream", "0"),
        ("tools", "{}"),
        ("tools[]", "[1]"),
        ("tools[]", "[null]"),
        ("tools[].type", "[{}]"),
        ("tools[].type", r#"[{"type":null}]"#),
        ("tools[].type", r#"[{"type":7}]"#),
        ("tools[].type", r#"[{"type":"a","tools":[{"name":"b"}]}]"#),
    ] {
        let member = name.split('[').next().unwrap();
        let found = facts(format!("{{\"{member}\":{value}}}"));
        let is_named = matches!(found, Err(Malformed::Member { name: found, .. }) if found == name);
        assert!(is_named, "{name} {value}: {found:?}");
    }
    let model = facts(format!("{{\"model\":{}}}", long(256))).unwrap();
    assert_eq!(model.model.unwrap().len(), 256);
    assert!(facts(format!("{{\"service_tier\":{}}}", long(64))).is_ok());
}

#[test]
fn so_many_types_of_tools_and_no_more() {
    let body = |count: usize| {
        let tools: Vec<_> = (0..2 * count)
            .map(|at| format!("{{\"type\":\"t{}\"}}", at % count))
            .collect();
        format!("{{\"tools\":[{}]}}", tools.join(","))
    };
    assert_eq!(facts(body(64)).unwrap().tools.len(), 64);
    assert_eq!(facts(body(65)), Err(Malformed::TooManyToolTypes));
}

#[test]
fn what_is_not_json_is_refused() {
    let not_json: &[&[u8]] = &[
        b"\xef\xbb\xbf{}",
        b"x",
        b"{} {}",
        b"{}\0",
        b"{,}",
        b"{\"a\":1,}",
        b"{\"a\" 1}",
        b"{\"a\":}",
        b"{1:1}",
        b"{\"a\":[1,]}",
        b"{\"a\":[,1]}",
        b"{\"a\":[1}}",
        b"{\"a\":{\"b\":1]}",
        b"{\"a\":01}",
        b"{\"a\":+1}",
        b"{\"a\":.5}",
        b"{\"a\":1.}",
        b"{\"a\":1e}",
        b"{\"a\":-}",
        b"{\"a\":nul}",
        b"{\"a\":True}",
        b"{\"a\":NaN}",
        b"{\"a\":'b'}",
        b"{\"a\":\"\n\"}",
        b"{\"a\":\"\0\"}",
        b"{\"a\":\"\\x\"}",
        b"{\"a\":\"\\u12g4\"}",
        b"{\"a\":\"\\ud83d\"}",
        b"{\"a\":\"\\ud83d\\n\"}",
        b"{\"a\":\"\\ud83d\\u0041\"}",
        b"{\"a\":\"\\ude00\"}",
        b"{\"a\":\"\xff\"}",
        b"{\"a\":\"\xc3\"}",
        b"{\"a\":\"\xc3\\n\"}",
        b"{\"a\":\"\xed\xa0\xbd\"}",
        b"{\"a\":\"\xf5\x80\x80\x80\"}",
        b"{\"a\":\"\xc0\x80\"}",
        b"{\"a\":1}/**/",
        b"{\"a\":1}\x0b",
    ];
    for body in not_json {
        let shown = String::from_utf8_lossy(body);
        assert_eq!(facts(body), Err(Malformed::NotJson), "{shown}");
        assert!(serde_json::from_slice::<serde_json::Value>(body).is_err());
    }
    for body in ["{", "{\"a", "{\"a\":1", "{\"a\":\"\\u00", "{\"a\":[{}"] {
        assert_eq!(facts(body), Err(Malformed::CutShort), "{body}");
    }
    for body in ["[{}]", "\"a\"", "1", "null", " true"] {
        assert_eq!(facts(body), Err(Malformed::NotObject), "{body}");
    }
    for body in ["", " \n"] {
        assert_eq!(facts(body), Err(Malformed::Empty));
    }
}

#[test]
fn nesting_is_bounded() {
    let body = |depth: usize| {
        let depth = depth - 1;
        format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth))
    };
    assert!(facts(body(128)).is_ok());
    assert_eq!(facts(body(129)), Err(Malformed::TooDeep(128)));
}

#[test]
fn a_body_is_as_large_as_it_may_be() {
    let body = br#"{"model":"m"}"#;
    for size in [1, 5, 100] {
        for (limit, expected) in [(13, None), (12, Some(Malformed::TooLarge(12)))] {
            let mut inspector = RequestInspector::new(RequestEncoding::Identity, limit);
            let failed = body
                .chunks(size)
                .find_map(|piece| inspector.push(piece).err());
            assert_eq!(failed, expected);
        }
    }
}

#[test]
fn one_content_coding_is_understood() {
    use RequestEncoding::{Gzip, Identity, Zstd};
    let read = |fields: &[&'static str]| {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append("content-encoding", HeaderValue::from_static(field));
        }
        RequestEncoding::from_headers(&headers)
    };
    assert_eq!(read(&[]), Ok(Identity));
    for (field, encoding) in [
        ("", Identity),
        (" Identity ", Identity),
        ("gzip", Gzip),
        ("X-GZip", Gzip),
        ("\tZSTD", Zstd),
    ] {
        assert_eq!(read(&[field]), Ok(encoding), "{field}");
    }
    for fields in [
        &["br"][..],
        &["deflate"],
        &["gzip, zstd"],
        &["gzip,"],
        &["gzip", "gzip"],
        &["", "gzip"],
    ] {
        assert_eq!(read(fields), Err(UnsupportedEncoding), "{fields:?}");
    }
}

#[test]
fn each_fault_is_refused_with_its_reason() {
    for (refusal, reason) in [
        (Malformed::TooLarge(9).into(), Reason::BodyTooLarge),
        (Malformed::NotJson.into(), Reason::RequestNotAllowed),
        (UnsupportedEncoding.into(), Reason::ContentEncoding),
    ] {
        let refusal: Refusal = refusal;
        assert_eq!(refusal.reason(), reason);
    }
}
