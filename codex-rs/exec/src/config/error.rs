//! What is wrong in a source of configuration, and where.

use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// What is wrong with a document, and where. It never repeats a value, which may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Counts from 1.
    pub(crate) line: usize,
    /// Dotted, where the document could be read far enough to tell.
    pub(crate) key: Option<String>,
    pub(crate) what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl Fault {
    pub(crate) fn new(document: &str, error: &toml::de::Error) -> Self {
        let at = error.span().unwrap_or_default();
        let before = document.get(..at.start).unwrap_or_default();
        let table = DeTable::parse(document).ok();
        let is_date = table
            .as_ref()
            .is_some_and(|table| is_date_at(table.get_ref(), &at));
        Self {
            line: before.matches('\n').count() + 1,
            key: table
                .as_ref()
                .and_then(|table| key_at(table.get_ref(), &at)),
            what: without_value(error.message(), is_date),
        }
    }
}

/// The dotted key whose name or value the span lies in.
fn key_at(table: &DeTable<'_>, span: &Range<usize>) -> Option<String> {
    let holds = |outer: Range<usize>| outer.contains(&span.start);
    table.iter().find_map(|(key, value)| {
        let below = match value.get_ref() {
            DeValue::Table(below) => key_at(below, span),
            _ => None,
        };
        match below {
            Some(below) => Some(format!("{}.{below}", key.get_ref())),
            None => (holds(key.span()) || holds(value.span())).then(|| key.get_ref().to_string()),
        }
    })
}

/// Whether a date or a time stands there, which serde takes for a table.
fn is_date_at(table: &DeTable<'_>, span: &Range<usize>) -> bool {
    table.values().any(|value| match value.get_ref() {
        DeValue::Table(below) => is_date_at(below, span),
        DeValue::Datetime(_) => value.span().contains(&span.start),
        _ => false,
    })
}

/// serde repeats the value it did not expect.
fn without_value(message: &str, is_date: bool) -> String {
    let (Some(rest), Some((_, expected))) = (
        message.strip_prefix("invalid "),
        message.rsplit_once(", expected "),
    ) else {
        return message.to_owned();
    };
    let found = match rest.split_once(": ").map_or("", |(_, found)| found) {
        _ if is_date => "a date or time",
        found if found.starts_with("integer `-") && rest.starts_with("value") => {
            "a negative number"
        }
        found if found.starts_with("integer") && rest.starts_with("value") => {
            "one that is too large"
        }
        found if found.starts_with("string") => "a string",
        found if found.starts_with("integer") => "a whole number",
        found if found.starts_with("float") => "a number",
        found if found.starts_with("boolean") => "true or false",
        found if found.starts_with("map") => "a table",
        found if found.starts_with("sequence") => "an array",
        _ => "something else",
    };
    let expected = match expected {
        "a map" => "a table",
        expected if expected.starts_with("struct ") => "a table",
        "u32" | "u64" => "a whole number, 0 or more",
        expected => expected,
    };
    let is_plain = matches!(
        found,
        "a whole number" | "a number" | "true or false" | "a date or time"
    );
    if expected == "a string" && is_plain {
        return format!(
            "expected a string, found {found}; quotes make a string of it, as in 'model=\"4.1\"'"
        );
    }
    format!("expected {expected}, found {found}")
}
