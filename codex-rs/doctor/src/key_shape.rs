//! Pure: what a value looks like, without saying what it is.

/// The variables in which clients of the API look for a key, and the one that workflows of the peer have it in.
const KEY_VARIABLES: [&str; 4] = [
    "OPENAI_API_KEY",
    "CODEX_API_KEY",
    "AZURE_OPENAI_API_KEY",
    "PROXY_API_KEY",
];

/// How names of variables end that hold keys of other services.
const KEY_ENDINGS: [&str; 2] = ["_API_KEY", "_APIKEY"];

/// What OpenAI's keys, and those of services after its pattern, begin with.
const PREFIX: &[u8] = b"sk-";

/// A shorter value is a placeholder: SDKs insist on some value.
const SHORTEST: usize = 20;

/// How long a client token of the proxy is, in hexadecimal digits.
const CLIENT_TOKEN: usize = 64;

/// What a value may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Too short to be a key.
    Placeholder,
    /// It looks like a client token that the proxy made.
    ClientToken,
    /// It looks like an API key.
    Key,
    /// It may be one.
    Unclear,
}

/// What the value of a variable may be.
pub(crate) fn shape_of(value: &[u8]) -> Shape {
    let value = value.trim_ascii();
    if value.len() < SHORTEST {
        Shape::Placeholder
    } else if value.starts_with(PREFIX) {
        Shape::Key
    } else if value.len() == CLIENT_TOKEN && value.iter().all(u8::is_ascii_hexdigit) {
        Shape::ClientToken
    } else {
        Shape::Unclear
    }
}

/// How sure it is that a variable holds a key of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holds {
    /// It does, as far as its name and its value say.
    Key,
    /// It holds a key of some service.
    MaybeKey,
    /// Nothing of the kind.
    NoKey,
}

/// What a variable holds, by its name and its value.
pub(crate) fn holds(name: &[u8], value: &[u8]) -> Holds {
    let is_of_api = KEY_VARIABLES.iter().any(|key| key.as_bytes() == name);
    let is_of_service = KEY_ENDINGS
        .iter()
        .any(|ending| name.ends_with(ending.as_bytes()));
    match shape_of(value) {
        Shape::Key => Holds::Key,
        Shape::Unclear if is_of_api => Holds::Key,
        Shape::Unclear if is_of_service => Holds::MaybeKey,
        Shape::Unclear | Shape::Placeholder | Shape::ClientToken => Holds::NoKey,
    }
}

/// Whether a text has a key somewhere in it, such as an argument `--api-key=sk-...`.
#[cfg(target_os = "linux")]
pub(crate) fn has_key_in_it(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    text.split(|byte| !is_part(byte)).any(|word| {
        // `--flag-sk-` is a word, too.
        word.starts_with(PREFIX) && shape_of(word) == Shape::Key
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_taken_for_what_it_looks_like() {
        let token = "0123456789abcdef".repeat(4);
        for (name, value, expected) in [
            ("OPENAI_API_KEY", "sk-proj-0123456789abcdef", Holds::Key),
            ("OPENAI_API_KEY", " sk-proj-0123456789abcdef\n", Holds::Key),
            ("CODEX_API_KEY", "0123456789abcdef0123456789", Holds::Key),
            ("AZURE_OPENAI_API_KEY", token.as_str(), Holds::NoKey),
            ("OPENAI_API_KEY", "unused", Holds::NoKey),
            ("OPENAI_API_KEY", "", Holds::NoKey),
            ("MY_SECRET", "sk-ant-0123456789abcdef", Holds::Key),
            (
                "GEMINI_API_KEY",
                "AIzaSyD-0123456789abcdef",
                Holds::MaybeKey,
            ),
            ("PATH", "/usr/local/bin:/usr/bin:/bin", Holds::NoKey),
            (
                "XOPENAI_API_KEY",
                "0123456789abcdef0123456789",
                Holds::MaybeKey,
            ),
        ] {
            assert_eq!(holds(name.as_bytes(), value.as_bytes()), expected, "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_key_is_found_within_arguments() {
        for (arguments, expected) in [
            ("proxy\0--api-key=sk-0123456789abcdefghij\0", true),
            ("proxy\0sk-0123456789abcdefghij", true),
            ("proxy\0--upstream-url\0https://host/sk-short\0", false),
            ("proxy\0--task-0123456789abcdefghij\0", false),
            ("", false),
        ] {
            assert_eq!(has_key_in_it(arguments.as_bytes()), expected, "{arguments}");
        }
    }
}
