//! The names of files that hold a dump, whole or on its way. Pure.

use std::fmt;

/// Which half of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Half {
    Request,
    Response,
}

impl Half {
    #[cfg_attr(
        not(unix),
        allow(dead_code, reason = "no dumps are found again where there are none")
    )]
    const ALL: [Self; 2] = [Self::Request, Self::Response];

    const fn word(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Response => "response",
        }
    }
}

/// `000012-1795893034154-request.json`: the number of the request, when it came (milliseconds since 1970), and which
/// half it is. In the order of their age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DumpName {
    pub(super) unix_ms: u64,
    pub(super) number: u64,
    pub(super) half: Half,
}

impl fmt::Display for DumpName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:06}-{}-{}.json",
            self.number,
            self.unix_ms,
            self.half.word()
        )
    }
}

/// Behind the name of a file that is not whole.
const VALUE: &str = ".value";
const TEXT: &str = ".text";

impl DumpName {
    /// What the body was taken for, in a file that is not whole: `.NAME.value` a JSON value, `.NAME.text` a text.
    pub(super) fn unfinished_value(self) -> String {
        format!(".{self}{VALUE}")
    }

    pub(super) fn unfinished_text(self) -> String {
        format!(".{self}{TEXT}")
    }

    /// `None`: no dump of ours has this name.
    #[cfg_attr(
        not(unix),
        allow(dead_code, reason = "no dumps are found again where there are none")
    )]
    pub(super) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(".json")?.splitn(3, '-');
        let number = parts.next()?.parse().ok()?;
        let unix_ms = parts.next()?.parse().ok()?;
        let word = parts.next()?;
        let half = Half::ALL.into_iter().find(|half| half.word() == word)?;
        let parsed = Self {
            unix_ms,
            number,
            half,
        };
        // Not `+1-...`, and as many zeros as we write.
        (parsed.to_string() == name).then_some(parsed)
    }

    /// Whether this is the name of a file of ours that is not whole.
    #[cfg_attr(
        not(unix),
        allow(dead_code, reason = "no dumps are found again where there are none")
    )]
    pub(super) fn is_unfinished(name: &str) -> bool {
        let name = name.strip_prefix('.');
        name.is_some_and(|name| {
            [VALUE, TEXT]
                .into_iter()
                .filter_map(|suffix| name.strip_suffix(suffix))
                .any(|name| Self::parse(name).is_some())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_peer_and_come_back() {
        let request = DumpName {
            unix_ms: 1_795_893_034_154,
            number: 1,
            half: Half::Request,
        };
        let response = DumpName {
            number: 1_234_567,
            half: Half::Response,
            ..request
        };
        assert_eq!(request.to_string(), "000001-1795893034154-request.json");
        assert_eq!(response.to_string(), "1234567-1795893034154-response.json");
        for name in [request, response] {
            assert_eq!(DumpName::parse(&name.to_string()), Some(name));
            assert!(DumpName::is_unfinished(&name.unfinished_value()));
            assert!(DumpName::is_unfinished(&name.unfinished_text()));
            assert!(!DumpName::is_unfinished(&name.to_string()));
        }
        assert!(request < response);
    }

    #[test]
    fn other_names_are_not_ours() {
        for name in [
            "",
            "1-2-request.json",
            "000001-2-request.json.gz",
            "000001-2-other.json",
            "+00001-2-request.json",
            "000001--request.json",
            "0000001-2-request.json",
            "000001-02-request.json",
            "000001-2-request.json-response.json",
            ".000001-2-request.json",
            "../000001-2-request.json",
            "notes.json",
        ] {
            assert_eq!(DumpName::parse(name), None, "{name}");
            assert!(!DumpName::is_unfinished(name), "{name}");
        }
        for name in [
            ".x.text",
            "000001-2-request.json.text",
            ".000001-2-request.json.tmp",
        ] {
            assert!(!DumpName::is_unfinished(name), "{name}");
        }
    }
}
