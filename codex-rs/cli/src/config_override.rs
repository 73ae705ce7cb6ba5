//! One `-c key=value`.

use std::str::FromStr;

/// An override as typed: a dotted path, and a value whose type (TOML, or else a
/// string) is for the reader of that path to decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigOverride {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
