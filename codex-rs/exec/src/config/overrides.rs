//! One `-c key=value`.

use std::fmt;
use std::str::FromStr;

use toml::de::DeValue;
use toml::{Table, Value};

/// An override as typed: a dotted path, and a value that is TOML, or else a string.
///
/// Only the equals sign is checked when it is parsed: a command that reads no configuration takes
/// whatever others understand.
#[derive(Clone, PartialEq, Eq)]
pub struct ConfigOverride {
    path: String,
    value: String,
}

impl FromStr for ConfigOverride {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (path, value) = text
            .split_once('=')
            .ok_or("an override is KEY=VALUE, such as model=\"o3\"")?;
        let path = path.trim();
        if path.is_empty() {
            return Err("an override needs a key before the equals sign");
        }
        Ok(Self {
            path: path.to_owned(),
            value: value.trim().to_owned(),
        })
    }
}

/// Names the override without its value, which may be a secret.
impl fmt::Display for ConfigOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "-c {}", self.path)
    }
}

impl fmt::Debug for ConfigOverride {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ConfigOverride({}, ..)", self.path)
    }
}

impl ConfigOverride {
    /// The TOML document that says the same; `None` if the path is not a dotted key.
    pub(crate) fn document(&self) -> Option<String> {
        let key: Table = toml::from_str(&format!("{} = 0", self.path)).ok()?;
        if !is_one_key(&key) || self.path.contains('\n') {
            return None;
        }
        // The value alone, or a newline in it could bring in a second setting.
        let value = match DeValue::parse(&self.value) {
            Ok(_) => self.value.clone(),
            Err(_) => quoted(&self.value),
        };
        Some(format!("{} = {value}", self.path))
    }
}

/// Whether a table has one leaf, at the end of a chain of tables.
fn is_one_key(table: &Table) -> bool {
    let below = |value: &Value| value.as_table().is_none_or(is_one_key);
    table.len() == 1 && table.values().all(below)
}

/// As a TOML basic string, which is a JSON string but for DEL.
pub(super) fn quoted(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    json.replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> Option<String> {
        let parsed: ConfigOverride = text.parse().unwrap();
        let document: Table = toml::from_str(&parsed.document()?).unwrap();
        Some(serde_json::to_string(&document).unwrap())
    }

    #[test]
    fn the_first_equals_sign_divides() {
        let parsed: ConfigOverride = " a.b = x=1 ".parse().unwrap();
        assert_eq!(
            (parsed.path.as_str(), parsed.value.as_str()),
            ("a.b", "x=1")
        );
    }

    #[test]
    fn a_key_is_needed_and_a_value_may_be_empty() {
        assert!("=x".parse::<ConfigOverride>().is_err());
        assert!("x".parse::<ConfigOverride>().is_err());
        assert!("x=".parse::<ConfigOverride>().is_ok());
    }

    #[test]
    fn a_value_is_toml_or_else_a_string() {
        for (text, expected) in [
            ("a=o3", r#"{"a":"o3"}"#),
            ("a=\"o3\"", r#"{"a":"o3"}"#),
            ("a=3", r#"{"a":3}"#),
            ("a=", r#"{"a":""}"#),
            ("a=1 2", r#"{"a":"1 2"}"#),
            ("a=1\nb=2", r#"{"a":"1\nb=2"}"#),
            ("a.b=1\na.c=2", r#"{"a":{"b":"1\na.c=2"}}"#),
            ("a=b\u{7f}\"", "{\"a\":\"b\u{7f}\\\"\"}"),
            ("a.b={c='d',e=1}", r#"{"a":{"b":{"c":"d","e":1}}}"#),
            ("a.\"x.y\".b=[1]", r#"{"a":{"x.y":{"b":[1]}}}"#),
        ] {
            assert_eq!(table(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn a_path_that_is_no_dotted_key_has_no_table() {
        for text in ["a b=1", "a..b=1", ".a=1", "[a=1", "#=1"] {
            assert_eq!(table(text), None, "{text}");
        }
    }

    #[test]
    fn it_is_named_without_its_value() {
        let parsed: ConfigOverride = "a.b=secret".parse().unwrap();
        assert_eq!(parsed.to_string(), "-c a.b");
        assert_eq!(format!("{parsed:?}"), "ConfigOverride(a.b, ..)");
    }
}
