//! The server's password: wiped when it is not needed any more, and never shown.

use std::fmt;

use zeroize::Zeroizing;

/// The most that a file with a password may hold, in bytes.
const MAX: usize = 1024;

/// A password.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

/// Why a file does not hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotAPassword {
    /// It is empty.
    Empty,
    /// It is longer than 1,024 bytes.
    TooLong,
    /// It has more than one line, or is not UTF-8.
    Form,
}

impl fmt::Display for NotAPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "it is empty; it has to hold the password and nothing else",
            Self::TooLong => "it is longer than 1,024 bytes",
            Self::Form => "it has to hold the password in one line of UTF-8 and nothing else",
        })
    }
}

impl std::error::Error for NotAPassword {}

impl Password {
    /// What a file holds, but the end of its line.
    ///
    /// # Errors
    /// [`NotAPassword`].
    pub fn of_file(content: String) -> Result<Self, NotAPassword> {
        let content = Zeroizing::new(content);
        let line = content.strip_suffix('\n').unwrap_or(&content);
        let line = line.strip_suffix('\r').unwrap_or(line);
        if line.is_empty() {
            return Err(NotAPassword::Empty);
        }
        if line.len() > MAX {
            return Err(NotAPassword::TooLong);
        }
        if line.contains(['\n', '\r', '\0']) {
            return Err(NotAPassword::Form);
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_holds_one_line() {
        let read = |text: &str| Password::of_file(text.to_owned());
        assert_eq!(read("a b\r\n").unwrap().as_str(), "a b");
        assert_eq!(read("\n").unwrap_err(), NotAPassword::Empty);
        assert_eq!(read("a\nb\n").unwrap_err(), NotAPassword::Form);
        assert_eq!(read(&"x".repeat(1025)).unwrap_err(), NotAPassword::TooLong);
        assert_eq!(format!("{:?}", read("a").unwrap()), "Password");
    }
}
