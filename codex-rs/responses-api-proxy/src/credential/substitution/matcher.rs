//! Finds a placeholder in a stream of header bytes, across any cuts, and says
//! which bytes of each piece the secret takes the place of. Pure.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::{CredentialSubstitution, Form, Substitute};

/// A placeholder in one form, equally long as what it stands for.
///
/// Both begin with the same scheme (`Bearer `), which needs no replacing:
/// a match that has come no further has changed nothing.
#[derive(Debug)]
pub(super) struct Placeholder {
    bytes: Vec<u8>,
    /// The Knuth-Morris-Pratt table: how much of a match remains after a mismatch.
    fallback: Vec<usize>,
}

impl Placeholder {
    pub(super) fn new(bytes: Vec<u8>) -> Option<Self> {
        let mut fallback = vec![0; bytes.len()];
        let mut matched = 0;
        for at in 1..bytes.len() {
            while matched > 0 && bytes.get(at) != bytes.get(matched) {
                matched = *fallback.get(matched - 1)?;
            }
            if bytes.get(at) == bytes.get(matched) {
                matched += 1;
            }
            *fallback.get_mut(at)? = matched;
        }
        Some(Self { bytes, fallback })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Part of a credential in its locked memory, which stays there as long as this lives. `Debug` shows nothing
/// of it, and it is compared with nothing: a comparison that ends at the first difference says where it is.
#[derive(Clone)]
pub(super) struct SecretPart {
    of: Arc<Substitute>,
    form: Form,
    range: Range<usize>,
}

impl SecretPart {
    /// What is in the locked memory; nothing at all if the part is not in it.
    pub(super) fn bytes(&self) -> &[u8] {
        let whole = self.of.secret(self.form);
        whole.get(self.range.clone()).unwrap_or_default()
    }

    /// The slot of the credential, if this is its last part.
    pub(super) fn completes(&self) -> Option<usize> {
        let is_end = self.range.end == self.of.secret(self.form).len();
        is_end.then(|| self.of.slot())
    }

    /// The placeholder, and what it stands for.
    #[cfg(fuzzing)]
    pub(super) fn sides(&self) -> (&[u8], &[u8], Range<usize>) {
        let placeholder = self.of.placeholder(self.form).bytes();
        (placeholder, self.of.secret(self.form), self.range.clone())
    }
}

impl fmt::Debug for SecretPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretPart")
    }
}

/// One replacement in one piece of plaintext.
#[derive(Clone, Debug)]
pub(super) struct Splice {
    /// Where in the piece it begins, in bytes.
    pub(super) at: usize,
    /// What stands there instead, for as many bytes as it is long.
    pub(super) with: SecretPart,
}

/// The placeholder was not where it has to be; nothing more may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Desynchronized;

/// Looks for one placeholder in one block of headers.
#[derive(Debug)]
pub(super) struct Matcher {
    form: Form,
    matched: usize,
    /// How much of `matched` has already left, in earlier pieces.
    sent: usize,
    /// Whose placeholder it is; known from the first byte behind the scheme.
    of: Option<Arc<Substitute>>,
    is_done: bool,
}

impl Matcher {
    pub(super) fn new(form: Form) -> Self {
        Self {
            form,
            matched: 0,
            sent: 0,
            of: None,
            is_done: false,
        }
    }

    /// Whether the one placeholder of this block is behind us.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Takes `bytes`, which begin at `offset` of their piece.
    ///
    /// Everything is looked at but nothing after the first match: the headers
    /// that follow are the caller's.
    pub(super) fn take(
        &mut self,
        substitution: &CredentialSubstitution,
        bytes: &[u8],
        offset: usize,
        splices: &mut Vec<Splice>,
    ) -> Result<(), Desynchronized> {
        if self.is_done {
            return Ok(());
        }
        for (at, &byte) in bytes.iter().enumerate() {
            while !self.goes_on_with(substitution, byte) && self.matched > 0 {
                self.fall_back()?;
            }
            let of = self.of.as_ref().map(|of| of.placeholder(self.form));
            if of.is_some_and(|of| self.matched == of.bytes().len()) {
                self.is_done = true;
                self.replace(offset + at + 1, splices)?;
                self.of = None;
                return Ok(());
            }
        }
        // The piece ends inside of what may be the placeholder: it cannot wait,
        // so it goes out as the secret, and must go on as it.
        self.replace(offset + bytes.len(), splices)
    }

    /// Adds the byte to the match if it is the next one of it.
    fn goes_on_with(&mut self, substitution: &CredentialSubstitution, byte: u8) -> bool {
        let scheme = self.form.scheme();
        let goes_on = match self.matched.checked_sub(scheme.len()) {
            None => scheme.get(self.matched) == Some(&byte),
            Some(0) => {
                self.of = substitution.beginning(self.form, byte);
                self.of.is_some()
            }
            Some(_) => self
                .of
                .as_ref()
                .is_some_and(|of| of.placeholder(self.form).bytes.get(self.matched) == Some(&byte)),
        };
        self.matched += usize::from(goes_on);
        goes_on
    }

    /// Goes on from the longest shorter match there is.
    fn fall_back(&mut self) -> Result<(), Desynchronized> {
        let shared = self.form.scheme().len();
        let shorter = match &self.of {
            Some(of) => {
                let fallback = &of.placeholder(self.form).fallback;
                *fallback.get(self.matched - 1).ok_or(Desynchronized)?
            }
            // No end of the scheme, in either form, is also a beginning of it.
            None => 0,
        };
        // What was sent as the secret's beginning turns out not to be it.
        if self.sent > shared && shorter < self.matched {
            return Err(Desynchronized);
        }
        self.matched = shorter;
        self.sent = self.sent.min(shorter);
        if shorter <= shared {
            self.of = None;
        }
        Ok(())
    }

    /// Replaces what is matched beyond the scheme and has not left yet; it
    /// ends at `end` of the piece.
    fn replace(&mut self, end: usize, splices: &mut Vec<Splice>) -> Result<(), Desynchronized> {
        let from = self.sent.max(self.form.scheme().len());
        self.sent = self.matched;
        if self.matched > from {
            let with = SecretPart {
                of: self.of.clone().ok_or(Desynchronized)?,
                form: self.form,
                range: from..self.matched,
            };
            let len = self.matched - from;
            if with.bytes().len() != len {
                return Err(Desynchronized);
            }
            let at = end.checked_sub(len).ok_or(Desynchronized)?;
            splices.push(Splice { at, with });
        }
        Ok(())
    }
}
