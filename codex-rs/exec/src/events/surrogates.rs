//! Pure: JSON with the escape of half a surrogate pair in it, which is no text (RFC 8259, section 8.2).

use std::borrow::Cow;

/// What stands in its place.
const REPLACEMENT: &str = "\\ufffd";

/// The same JSON with `\ufffd` for each half that stands alone. Servers that cut text between the two halves
/// send them in two events.
pub(super) fn without_lone_surrogates(json: &str) -> Cow<'_, str> {
    let is_there = ["\\ud", "\\uD"].iter().any(|begin| json.contains(begin));
    if !is_there {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let length = match (unit(escape), escape.get(6..).and_then(unit)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => 12,
            (Some(0xd800..=0xdfff), _) => {
                out.push_str(REPLACEMENT);
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            (Some(_), _) => 6,
            // The character behind it, of whatever length, is the escaped one.
            (None, _) => 1 + escape.chars().nth(1).map_or(0, char::len_utf8),
        };
        let (escape, after) = escape.split_at(length);
        out.push_str(escape);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// The UTF-16 unit that an escape at the beginning stands for.
fn unit(escape: &str) -> Option<u32> {
    let digits = escape.strip_prefix("\\u")?.get(..4)?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_replaced_and_a_pair_stays() {
        for (json, text) in [
            (r#""a\ud800b""#, "a\u{fffd}b"),
            (r#""\ud83c\udf89""#, "\u{1f389}"),
            (r#""\uDF89\uD83C\uD83C\uDF89""#, "\u{fffd}\u{fffd}\u{1f389}"),
            (r#""\\ud800""#, "\\ud800"),
            (r#""\ud800ü\n""#, "\u{fffd}ü\n"),
            (r#""\u00fc""#, "ü"),
        ] {
            let mended = without_lone_surrogates(json);
            assert_eq!(serde_json::from_str::<String>(&mended).unwrap(), text);
        }
        assert_eq!(without_lone_surrogates("\\"), "\\");
    }
}
