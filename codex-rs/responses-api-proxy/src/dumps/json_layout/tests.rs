use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// As it is laid out when it comes in pieces of this length.
fn laid_out(text: &str, piece: usize) -> Result<String, NotJson> {
    let mut layout = JsonLayout::new(0);
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = (piece..=rest.len())
            .find(|&end| rest.is_char_boundary(end))
            .unwrap_or(rest.len());
        let (first, behind) = rest.split_at(end);
        layout.push(first, &mut out)?;
        rest = behind;
    }
    layout.finish()?;
    Ok(String::from_utf8(out).unwrap())
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

#[test]
fn it_is_laid_out_as_serde_json_does() {
    let texts = [
        r#"{"model":"gpt-5",  "list":[1,[],{},[[2]],{"a":{}}],"t":true,"f":false,"n":null}"#,
        r#" "text" "#,
        "-1",
        "\t[ ] ",
        r#"{"é":"ü\n\\\"","e":"\ud83d\ude00"}"#,
    ];
    for text in texts {
        let value: Value = serde_json::from_str(text).unwrap();
        for piece in 1..=text.len() {
            let ours = laid_out(text, piece).unwrap();
            assert_eq!(serde_json::from_str::<Value>(&ours).unwrap(), value);
            if !text.contains("\\u") {
                // Names of objects are sorted there.
                let lines = |text: &str| {
                    let mut lines: Vec<String> = text
                        .lines()
                        .map(|line| line.trim_end_matches(',').to_owned())
                        .collect();
                    lines.sort();
                    lines
                };
                let theirs = serde_json::to_string_pretty(&value).unwrap();
                assert_eq!(lines(&ours), lines(&theirs));
            }
        }
    }
}

#[test]
fn what_is_written_stays_and_lines_are_indented() {
    let mut layout = JsonLayout::new(1);
    let mut out = Vec::new();
    let text = r#"{"a":1.50,"a":12345678901234567890123,"u":"\u00e9\/"}"#;
    layout.push(text, &mut out).unwrap();
    layout.finish().unwrap();
    let expected =
        "{\n    \"a\": 1.50,\n    \"a\": 12345678901234567890123,\n    \"u\": \"\\u00e9\\/\"\n  }";
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}

#[test]
fn what_is_not_json_is_not() {
    let deepest = |depth| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    for text in [
        "",
        " ",
        "{",
        "[1,]",
        "[,1]",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{1:2}",
        "[1}",
        "{]",
        "01",
        "-",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "1 2",
        "tru",
        "truee",
        "nul",
        "\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800x\"",
        "\"\\ud800\\n\"",
        "\"\\ud800\\ud800\"",
        "\"\t\"",
        "\u{feff}1",
        "[1 2]",
        "'a'",
        "]",
        "}",
        ":",
        ",",
        "data: {}",
    ] {
        assert!(!is_json(text), "{text}");
        for piece in 1..=text.len().max(1) {
            assert_eq!(laid_out(text, piece), Err(NotJson), "{text}");
        }
    }
    assert!(laid_out(&deepest(127), 7).is_ok() && is_json(&deepest(127)));
    assert!(laid_out(&deepest(128), 7).is_err() && !is_json(&deepest(128)));
}

#[test]
fn what_it_cannot_begin_with_it_does_not_begin_with() {
    for byte in 0..=127_u8 {
        let begun = JsonLayout::new(0).push(char::from(byte).encode_utf8(&mut [0; 4]), &mut vec![]);
        assert_eq!(begun.is_ok(), may_begin(byte), "{byte}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whole_texts_come_out_with_the_layout_of_serde_json(value in values(), piece in 1_usize..40) {
        let plain = serde_json::to_string(&value).unwrap();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        prop_assert_eq!(laid_out(&plain, piece).unwrap(), pretty.clone());
        prop_assert_eq!(laid_out(&pretty, piece).unwrap(), pretty);
    }

    #[test]
    fn it_takes_what_serde_json_takes(text in r#"[\[\]{}:, "\\u\dd8cef.+eEtrualsn0-]{0,12}"#, piece in 1_usize..5) {
        // There a number that is larger than any of 64 bits is an error, and here it is not.
        let is_out_of_range = serde_json::from_str::<Value>(&text)
            .is_err_and(|error| error.to_string().contains("out of range"));
        prop_assert!(is_out_of_range || laid_out(&text, piece).is_ok() == is_json(&text), "{}", text);
    }
}
