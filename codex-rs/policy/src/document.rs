//! A TOML document, read in the order of the file, with the place of what is wrong in it.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::error::PolicyError;

/// A value of a document, and where it stands.
pub(crate) struct Node<'a, 'i> {
    text: &'a str,
    name: &'a Spanned<Cow<'i, str>>,
    value: &'a Spanned<DeValue<'i>>,
    dotted: String,
    at: usize,
}

/// What the root of a document holds, in the order of the file.
pub(crate) fn entries<'a, 'i>(text: &'a str, root: &'a DeTable<'i>) -> Vec<Node<'a, 'i>> {
    in_order(text, root, as_written)
}

/// The document, if it is TOML.
pub(crate) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, PolicyError> {
    DeTable::parse(text).map_err(|error| PolicyError {
        line: line_of(text, error.span().unwrap_or_default().start),
        key: None,
        what: error.message().to_owned(),
    })
}

fn line_of(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.matches('\n').count() + 1
}

/// The table itself is in the order of the alphabet.
fn in_order<'a, 'i>(
    text: &'a str,
    table: &'a DeTable<'i>,
    dotted: impl Fn(&str) -> String,
) -> Vec<Node<'a, 'i>> {
    let node = |(name, value): (&'a Spanned<Cow<'i, str>>, &'a Spanned<DeValue<'i>>)| Node {
        text,
        name,
        value,
        dotted: dotted(name.get_ref()),
        at: name.span().start,
    };
    let mut nodes: Vec<_> = table.iter().map(node).collect();
    nodes.sort_by_key(|node| node.at);
    nodes
}

/// A key with quotes where TOML wants them, and without control characters.
fn as_written(name: &str) -> String {
    let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !name.is_empty() && name.bytes().all(is_bare) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.escape_debug())
    }
}

impl<'a, 'i> Node<'a, 'i> {
    /// The key; of an element of an array, that of the array.
    pub(crate) fn name(&self) -> &'a str {
        self.name.get_ref()
    }

    /// The key with its place.
    pub(crate) fn spanned_name(&self) -> &'a Spanned<Cow<'i, str>> {
        self.name
    }

    /// The value with its place.
    pub(crate) fn spanned_value(&self) -> &'a Spanned<DeValue<'i>> {
        self.value
    }

    /// The value.
    pub(crate) fn value(&self) -> &'a DeValue<'i> {
        self.value.get_ref()
    }

    pub(crate) fn fault(&self, what: impl Into<String>) -> PolicyError {
        PolicyError {
            line: line_of(self.text, self.at),
            key: Some(self.dotted.clone()),
            what: what.into(),
        }
    }

    /// What a table holds, in the order of the file.
    pub(crate) fn entries(&self) -> Result<Vec<Self>, PolicyError> {
        let table = self.value().as_table();
        let table = table.ok_or_else(|| self.fault("has to be a table"))?;
        let below = |name: &str| format!("{}.{}", self.dotted, as_written(name));
        Ok(in_order(self.text, table, below))
    }

    /// The elements of an array; `what` says what it has to be.
    pub(crate) fn elements(&self, what: &str) -> Result<Vec<Self>, PolicyError> {
        let array = self.value().as_array().ok_or_else(|| self.fault(what))?;
        let element = |value: &'a Spanned<DeValue<'i>>| Self {
            text: self.text,
            name: self.name,
            value,
            dotted: self.dotted.clone(),
            at: value.span().start,
        };
        Ok(array.iter().map(element).collect())
    }

    /// A string; `what` says what it has to be.
    pub(crate) fn string(&self, what: &str) -> Result<&'a str, PolicyError> {
        self.value().as_str().ok_or_else(|| self.fault(what))
    }

    /// The strings of an array, of which there is one at least and none is empty.
    pub(crate) fn names(&self) -> Result<Vec<(Self, &'a str)>, PolicyError> {
        let what = "has to be an array of strings, not empty ones, and of one at least";
        let elements = self.elements(what)?;
        if elements.is_empty() {
            return Err(self.fault("may not be empty; without it, nothing is restricted"));
        }
        let name = |element: Self| match element.string(what)? {
            "" => Err(element.fault(what)),
            name => Ok((element, name)),
        };
        elements.into_iter().map(name).collect()
    }

    pub(crate) fn boolean(&self) -> Result<bool, PolicyError> {
        let boolean = self.value().as_bool();
        boolean.ok_or_else(|| self.fault("has to be true or false"))
    }

    /// A decimal integer from 1 to `most`.
    pub(crate) fn count(&self, most: u64) -> Result<u64, PolicyError> {
        count(self.value(), most)
            .ok_or_else(|| self.fault(format!("has to be an integer from 1 to {most}")))
    }
}

/// A decimal integer from 1 to `most`.
pub(crate) fn count(value: &DeValue<'_>, most: u64) -> Option<u64> {
    let integer = value.as_integer().filter(|it| it.radix() == 10)?;
    let count = integer.as_str().parse().ok()?;
    (1..=most).contains(&count).then_some(count)
}
