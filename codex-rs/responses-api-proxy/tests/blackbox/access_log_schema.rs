//! Lines of the access log are as docs/access-log.schema.json says.

use serde_json::Value;

const SCHEMA: &str = include_str!("../../../../docs/access-log.schema.json");

/// Checks a line by those parts of JSON Schema that the file uses; any other part fails.
#[track_caller]
pub(crate) fn assert_is_in_the_schema(record: &Value) {
    if let Err(why) = check(record) {
        panic!("{why} in {record}");
    }
}

fn check(record: &Value) -> Result<(), String> {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    for name in schema["required"].as_array().unwrap() {
        if record.get(name.as_str().unwrap()).is_none() {
            return Err(format!("{name} is missing"));
        }
    }
    for (name, value) in record.as_object().unwrap() {
        let rules = schema["properties"][name].as_object();
        let rules = rules.ok_or_else(|| format!("{name} is not in the schema"))?;
        for (rule, wanted) in rules {
            if !follows(value, rule, wanted) {
                return Err(format!("{name} breaks {rule} {wanted}"));
            }
        }
    }
    Ok(())
}

fn follows(value: &Value, rule: &str, wanted: &Value) -> bool {
    match rule {
        "type" => match wanted.as_str().unwrap() {
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "boolean" => value.is_boolean(),
            other => panic!("the schema has the type {other}"),
        },
        "const" => value == wanted,
        "enum" => wanted.as_array().unwrap().contains(value),
        "minimum" => value.as_f64() >= wanted.as_f64(),
        "maximum" => value.as_f64() <= wanted.as_f64(),
        "maxLength" => {
            let length = value.as_str().map_or(0, |text| text.chars().count());
            length as u64 <= wanted.as_u64().unwrap()
        }
        "pattern" => matches_pattern(value.as_str().unwrap_or_default(), wanted.as_str().unwrap()),
        other => panic!("the schema has {other}"),
    }
}

/// The two patterns that the schema has.
fn matches_pattern(text: &str, pattern: &str) -> bool {
    match pattern {
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$" => {
            let shape = text
                .chars()
                .map(|c| if c.is_ascii_digit() { '0' } else { c });
            shape.eq("0000-00-00T00:00:00.000Z".chars())
        }
        "^[0-9a-f]{10}-[1-9][0-9]*$" => text.split_once('-').is_some_and(|(start, number)| {
            let is_hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            start.len() == 10
                && start.bytes().all(is_hex)
                && !number.is_empty()
                && !number.starts_with('0')
                && number.bytes().all(|byte| byte.is_ascii_digit())
        }),
        other => panic!("the schema has the pattern {other}"),
    }
}

#[test]
fn the_check_refuses_what_the_schema_does() {
    let line = |change: &str, value: Value| {
        let mut line = serde_json::json!({
            "ts": "2026-01-02T03:04:05.678Z", "v": 1, "id": "0123456789-1", "outcome": "complete",
            "http.request.method": "POST", "url.path": "/v1/responses", "duration_ms": 1.5,
            "bytes.request": 2, "bytes.response": 3,
        });
        line[change] = value;
        check(&line)
    };
    assert_eq!(line("v", 1.into()), Ok(()));
    for (name, value) in [
        ("v", 2.into()),
        ("ts", "2026-01-02 03:04:05.678Z".into()),
        ("id", "0123456789-01".into()),
        ("id", "012345678G-1".into()),
        ("outcome", "lost".into()),
        ("duration_ms", (-1).into()),
        ("bytes.request", 1.5.into()),
        ("http.response.status_code", 600.into()),
        ("message", "x".repeat(257).into()),
        ("unheard.of", 1.into()),
    ] {
        assert!(line(name, value).is_err(), "{name}");
    }
    assert!(check(&serde_json::json!({"v": 1})).is_err());
}
