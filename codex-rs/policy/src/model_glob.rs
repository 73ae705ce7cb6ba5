//! Patterns of names of models.

#[cfg(test)]
mod tests;

use std::fmt;
use std::str::FromStr;

/// The most characters of a pattern. Together with how a name is matched, it keeps the time linear in the length
/// of the name.
const LONGEST: usize = 200;

/// A pattern of names of models: `*` stands for any characters, also for none, and `?` for exactly one. It has to
/// match the whole name; upper and lower case differ.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ModelGlob {
    pattern: Box<str>,
}

/// Why a text is not a [`ModelGlob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobError {
    /// It matches the empty name only, which no model has.
    Empty,
    /// It has more than 200 characters.
    Long,
    /// It has one of the characters `[`, `{` and `\`, which mean something in other patterns, or white space, which no
    /// name of a model has.
    Special(char),
}

impl fmt::Display for GlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => {
                f.write_str("a pattern of models may not be empty; `*` matches every model")
            }
            Self::Long => write!(f, "a pattern of models has at most {LONGEST} characters"),
            Self::Special(character) => write!(
                f,
                "a pattern of models may not contain `{character}`; only `*` and `?` are special"
            ),
        }
    }
}

impl std::error::Error for GlobError {}

impl FromStr for ModelGlob {
    type Err = GlobError;

    fn from_str(pattern: &str) -> Result<Self, GlobError> {
        if pattern.is_empty() {
            return Err(GlobError::Empty);
        }
        if pattern.chars().count() > LONGEST {
            return Err(GlobError::Long);
        }
        let is_special = |it: &char| matches!(it, '[' | '{' | '\\') || it.is_whitespace();
        match pattern.chars().find(is_special) {
            Some(special) => Err(GlobError::Special(special)),
            None => Ok(Self {
                pattern: pattern.into(),
            }),
        }
    }
}

impl ModelGlob {
    /// Whether the pattern matches all of `model`.
    #[must_use]
    pub fn matches(&self, model: &str) -> bool {
        let mut pattern = self.pattern.chars();
        let mut name = model.chars();
        // After the last `*`, with the part of the name that it does not stand for yet. Earlier ones need not be
        // tried again: what they stood for is the least possible, and the last one can stand for the rest. So
        // each character of the name is looked at once for each of the pattern, at most.
        let mut star = None;
        loop {
            match pattern.next() {
                Some('*') => {
                    star = Some((pattern.clone(), name.clone()));
                    continue;
                }
                Some(want) => match name.next() {
                    Some(found) if want == '?' || want == found => continue,
                    Some(_) => {}
                    None => return false,
                },
                None if name.as_str().is_empty() => return true,
                None => {}
            }
            let Some((after, rest)) = &mut star else {
                return false;
            };
            if rest.next().is_none() {
                return false;
            }
            pattern = after.clone();
            name = rest.clone();
        }
    }
}

impl fmt::Display for ModelGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.pattern)
    }
}
