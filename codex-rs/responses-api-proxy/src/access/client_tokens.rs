//! Who may call, by a token of their own in the place of an API key.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::digest::{Digest, SHA256, digest};
use subtle::ConstantTimeEq;

use crate::access::trusted_file::TrustedFile;
use crate::observe::stderr;
use crate::refusal::{Reason, Refusal};

/// How many random bytes a token of our own is made of.
const GENERATED: usize = 32;

/// The tokens that are accepted, by their SHA-256; none at all means no token is
/// asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tokens(Option<Arc<RwLock<Vec<Entry>>>>);

#[derive(Debug)]
struct Entry {
    /// What the holder is called in our messages.
    name: String,
    hash: Vec<u8>,
}

/// Why a token file is none.
#[derive(Debug)]
pub(crate) enum TokensError {
    Read(PathBuf, io::Error),
    Line(PathBuf, usize),
    Empty(PathBuf),
}

impl fmt::Display for TokensError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, _) => {
                write!(f, "could not read --client-token-file {}", path.display())
            }
            Self::Line(path, number) => write!(
                f,
                "--client-token-file {} line {number} is not NAME:SHA256 (64 hexadecimal \
                 digits and nothing after them: printf %s TOKEN | sha256sum | cut -c1-64)",
                path.display()
            ),
            Self::Empty(path) => write!(f, "--client-token-file {} names nobody", path.display()),
        }
    }
}

impl std::error::Error for TokensError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Read(_, cause) => Some(cause),
            _ => None,
        }
    }
}

impl Tokens {
    /// The tokens of a file: a line `NAME:SHA256` for each, empty lines and lines
    /// that begin with `#` aside.
    ///
    /// # Errors
    ///
    /// [`TokensError`] names the file and the line.
    pub(crate) fn from_file(file: &TrustedFile) -> Result<Self, TokensError> {
        Ok(Self(Some(Arc::new(RwLock::new(read(file)?)))))
    }

    /// One token that is made here, and the text of it. `random` fills a buffer.
    pub(crate) fn generate(random: &dyn Fn(&mut [u8]) -> bool) -> Option<(Self, String)> {
        let mut bytes = [0; GENERATED];
        if !random(&mut bytes) {
            return None;
        }
        let token: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let entry = Entry {
            name: "server-info".to_owned(),
            hash: sha256(token.as_bytes()).as_ref().to_vec(),
        };
        Some((Self(Some(Arc::new(RwLock::new(vec![entry])))), token))
    }

    /// Reads the file again. What is wrong with it is an error, and leaves the
    /// tokens as they were.
    ///
    /// # Errors
    ///
    /// As [`from_file`](Self::from_file).
    pub(crate) fn reload(&self, file: &TrustedFile) -> Result<usize, TokensError> {
        let fresh = read(file)?;
        let count = fresh.len();
        if let Some(entries) = &self.0 {
            *entries.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        }
        Ok(count)
    }

    /// The same on SIGHUP, and says what came of it.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no signal for it"))]
    pub(crate) fn read_again(&self, file: &TrustedFile) {
        match self.reload(file) {
            Ok(count) => stderr::line(format_args!("client tokens read again: {count}")),
            Err(error) => {
                let cause = std::error::Error::source(&error);
                let cause = cause.map_or_else(String::new, |cause| format!(": {cause}"));
                stderr::line(format_args!(
                    "client tokens left as they were: {error}{cause}"
                ));
            }
        }
    }

    /// The name of whoever sent these headers; `None` if no token is asked for.
    ///
    /// # Errors
    ///
    /// [`Reason::Token`] without exactly one valid one.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<Option<String>, Refusal> {
        let Some(entries) = &self.0 else {
            return Ok(None);
        };
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Reason::Token.into());
        };
        let token = bearer(value.as_bytes()).ok_or(Reason::Token)?;
        let hash = sha256(token);
        let entries = entries.read().unwrap_or_else(PoisonError::into_inner);
        // All are compared, each in constant time: neither says how near a guess is. What
        // is not as long is not equal.
        let mut found = None;
        for entry in entries.iter() {
            if bool::from(entry.hash.ct_eq(hash.as_ref())) {
                found = Some(entry.name.clone());
            }
        }
        Ok(Some(found.ok_or(Reason::Token)?))
    }

    pub(crate) fn are_asked_for(&self) -> bool {
        self.0.is_some()
    }
}

/// RFC 6750, section 2.1; the scheme's case does not matter (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(token)
}

fn sha256(bytes: &[u8]) -> Digest {
    digest(&SHA256, bytes)
}

fn read(file: &TrustedFile) -> Result<Vec<Entry>, TokensError> {
    let path = file.path();
    let text = file
        .read()
        .map_err(|cause| TokensError::Read(path.to_owned(), cause))?;
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let entry = parse(line).ok_or_else(|| TokensError::Line(path.to_owned(), number))?;
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(TokensError::Empty(path.to_owned()));
    }
    Ok(entries)
}

fn parse(line: &str) -> Option<Entry> {
    let (name, hex) = line.split_once(':')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@'));
    if !is_name || hex.len() != 64 || !hex.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut hash = vec![0; 32];
    for (byte, at) in hash.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
    }
    Some(Entry {
        name: name.to_owned(),
        hash,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// SHA-256 of `secret`, by sha256sum(1).
    const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";

    fn from(path: &Path) -> Result<Tokens, TokensError> {
        Tokens::from_file(&TrustedFile::new(path, None))
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        file
    }

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_token_is_known_by_its_hash() {
        let file = file(&format!(
            "# who may call\n\nalice:{HASH}\nbob:{}\n",
            "0".repeat(64)
        ));
        let tokens = from(file.path()).unwrap();
        for value in ["Bearer secret", "bearer secret"] {
            assert_eq!(
                tokens.check(&headers(&[value])).unwrap().as_deref(),
                Some("alice")
            );
        }
        for values in [
            &[][..],
            &["Bearer secre"],
            &["Bearer secrets"],
            &["Bearer "],
            &["Basic secret"],
            &["secret"],
            &["Bearer  secret"],
            &["Bearer secret", "Bearer secret"],
        ] {
            assert!(
                matches!(tokens.check(&headers(values)), Err(refusal) if refusal.reason() == Reason::Token),
                "{values:?}"
            );
        }
    }

    #[test]
    fn without_tokens_none_is_asked_for() {
        assert!(matches!(Tokens::default().check(&headers(&[])), Ok(None)));
    }

    #[test]
    fn what_is_wrong_with_a_file_is_named_by_its_line() {
        for (text, number) in [
            ("alice\n", 1),
            ("\nalice:abc\n", 2),
            (":00\n", 1),
            (&*format!("ok:{HASH}\nal ice:{HASH}"), 2),
            (&*format!("a:{}zz", "0".repeat(62)), 1),
        ] {
            let file = file(text);
            let error = from(file.path()).unwrap_err();
            assert!(
                matches!(error, TokensError::Line(_, at) if at == number),
                "{text:?}: {error}"
            );
        }
        assert!(matches!(
            from(file("# nobody\n").path()),
            Err(TokensError::Empty(_))
        ));
        assert!(matches!(
            from(Path::new("/nonexistent")),
            Err(TokensError::Read(..))
        ));
    }

    #[test]
    fn a_reload_that_fails_changes_nothing() {
        let file = file(&format!("alice:{HASH}\n"));
        let tokens = from(file.path()).unwrap();
        fs::write(file.path(), "broken").unwrap();
        assert!(tokens.reload(&TrustedFile::new(file.path(), None)).is_err());
        assert!(tokens.check(&headers(&["Bearer secret"])).is_ok());
        fs::write(file.path(), format!("bob:{}\n", "0".repeat(64))).unwrap();
        assert_eq!(
            tokens.reload(&TrustedFile::new(file.path(), None)).unwrap(),
            1
        );
        assert!(tokens.check(&headers(&["Bearer secret"])).is_err());
    }

    #[test]
    fn a_token_of_our_own_is_long_and_accepted() {
        let random = |buffer: &mut [u8]| {
            buffer.fill(7);
            true
        };
        let (tokens, text) = Tokens::generate(&random).unwrap();
        assert_eq!(text, "07".repeat(32));
        assert!(tokens.check(&headers(&[&format!("Bearer {text}")])).is_ok());
        assert!(Tokens::generate(&|_: &mut [u8]| false).is_none());
    }
}
