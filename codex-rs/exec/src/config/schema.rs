//! The JSON Schema that an answer has to keep to.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use boon::{Compiler, Draft, SchemaIndex, Schemas, UrlLoader};
use serde_json::Value;

use crate::terminal::printable::excerpt;

/// The largest file, in bytes: what servers take is far smaller.
const MAX_SCHEMA: u64 = 1 << 20;
/// How much of what is wrong is shown, in characters.
const MAX_FAULT: usize = 300;
/// Where the schema is while it is compiled; nothing is read from there.
const PLACE: &str = "codex:///schema";

/// A schema, as it is sent and as it is checked.
pub(crate) struct Schema {
    pub(crate) value: Value,
    compiled: Schemas,
    index: SchemaIndex,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({})", self.value)
    }
}

/// Why there is none.
#[derive(Debug)]
pub(crate) enum SchemaError {
    Io(PathBuf, io::Error),
    TooLarge(PathBuf),
    NotJson(PathBuf, serde_json::Error),
    NotASchema(PathBuf, String),
}

impl fmt::Display for SchemaError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, cause) => write!(f, "could not read {}: {cause}", path.display()),
            Self::TooLarge(path) => write!(
                f,
                "{} is larger than {} MiB, too much for a schema",
                path.display(),
                MAX_SCHEMA >> 20
            ),
            Self::NotJson(path, cause) => write!(f, "{} is not JSON: {cause}", path.display()),
            Self::NotASchema(path, what) => {
                write!(f, "{} is not a JSON Schema: {what}", path.display())
            }
        }
    }
}

impl std::error::Error for SchemaError {}

/// Whoever writes a schema does not make us read other files.
struct NoOther;

impl UrlLoader for NoOther {
    fn load(&self, url: &str) -> Result<Value, Box<dyn std::error::Error>> {
        Err(format!("{url} is in another file, and only this one is read").into())
    }
}

impl Schema {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`SchemaError`]: it cannot be read, or is none.
    pub(crate) fn read(path: &Path) -> Result<Self, SchemaError> {
        let mut text = String::new();
        let length = File::open(path)
            .and_then(|file| file.take(MAX_SCHEMA + 1).read_to_string(&mut text))
            .map_err(|cause| SchemaError::Io(path.to_owned(), cause))?;
        if length as u64 > MAX_SCHEMA {
            return Err(SchemaError::TooLarge(path.to_owned()));
        }
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let value: Value = serde_json::from_str(text)
            .map_err(|cause| SchemaError::NotJson(path.to_owned(), cause))?;
        Self::compile(value).map_err(|what| SchemaError::NotASchema(path.to_owned(), what))
    }

    fn compile(value: Value) -> Result<Self, String> {
        let (mut compiler, mut compiled) = (Compiler::new(), Schemas::new());
        compiler.set_default_draft(Draft::V2020_12);
        compiler.use_loader(Box::new(NoOther));
        let short = |error: &dyn fmt::Display| excerpt(&error.to_string(), MAX_FAULT);
        if let Err(error) = compiler.add_resource(PLACE, value.clone()) {
            return Err(short(&error));
        }
        let index = match compiler.compile(PLACE, &mut compiled) {
            Ok(index) => index,
            Err(error) => return Err(short(&error)),
        };
        Ok(Self {
            value,
            compiled,
            index,
        })
    }

    /// Checks an answer.
    ///
    /// # Errors
    ///
    /// A sentence that says what is wrong with it.
    pub(crate) fn check(&self, text: &str) -> Result<(), String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|cause| format!("the answer is not the JSON that was asked for: {cause}"))?;
        self.compiled.validate(&value, self.index).map_err(|error| {
            let what = excerpt(&format!("{error:#}"), MAX_FAULT);
            format!("the answer does not keep to the schema: {what}")
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_keeps_to_it_or_is_told_why_not() {
        let schema = Schema::compile(json!({
            "type": "object",
            "properties": {"a": {"$ref": "#/$defs/n"}},
            "required": ["a"],
            "additionalProperties": false,
            "$defs": {"n": {"type": "integer"}},
        }))
        .unwrap();
        assert_eq!(schema.check("{\"a\": 1}\n"), Ok(()));
        for (text, says) in [
            ("{\"a\": \"x\"}", "does not keep to the schema"),
            ("{}", "does not keep to the schema"),
            ("{\"a\": 1, \"b\": 1}", "does not keep to the schema"),
            ("Sure! {}", "is not the JSON that was asked for"),
        ] {
            let fault = schema.check(text).unwrap_err();
            assert!(fault.contains(says), "{fault}");
        }
    }

    #[test]
    fn a_schema_is_one_and_reads_no_other_file() {
        assert!(Schema::compile(json!({"type": "nonsense"})).is_err());
        let other = json!({"$ref": "file:///etc/hostname"});
        let fault = Schema::compile(other).unwrap_err();
        assert!(fault.contains("/etc/hostname"), "{fault}");
    }
}
