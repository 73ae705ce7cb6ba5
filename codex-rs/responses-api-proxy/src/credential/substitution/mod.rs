//! The key joins a request only inside the TLS record that is being encrypted.
//!
//! hyper and h2 copy a request's head through buffers of ordinary memory. Over
//! TLS they do not get the key for that, but a random placeholder of the same
//! length in either of its forms on the wire: as it stands (HTTP/1.1), and in
//! HPACK's Huffman code (HTTP/2). Where rustls hands a record to the cipher, the
//! plaintext is followed frame by frame, and the placeholder in each request head
//! is replaced by the bytes in the locked page. rustls copies the pieces into the
//! record and encrypts them in place, so that the key is in the page, for the
//! time of one encryption in one record, and nowhere else.
//!
//! ```text
//! hyper, h2       POST ... authorization: Bearer <placeholder> ... body
//!   rustls        [ before ] [ secret, from the page ] [ after ]   <- tls.rs
//!     record      encrypted in place
//! ```
//!
//! Credentials change, and each has a placeholder of its own: a request goes with the credential that was in force
//! when it was authorised, and the memory of one that is not is wiped when the last head that needs it is encrypted.
//! Which one a placeholder stands for is known from its first byte behind the scheme.
//!
//! Exactly one replacement per request head, none in bodies. Where the
//! placeholder is not found, or a match that began at a record's end does not go
//! on, nothing more is sent on that connection: the record is replaced by a fatal
//! alert, the upstream hangs up, and the request fails with 502.

#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod h1;
mod h2;
mod huffman;
mod matcher;
mod placeholder;
pub(crate) mod sealed;
mod tls;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use self::h1::H1;
use self::h2::H2;
use self::matcher::{Desynchronized, Placeholder, Splice};
use self::placeholder::placeholder_for;
use crate::credential::locked::{LockedCredential, SLOTS};

pub(crate) use self::tls::substituting_provider;

/// What stands before the key in the header (RFC 6750, section 2.1).
pub(crate) const SCHEME: &[u8] = b"Bearer ";

/// The same in HPACK's Huffman code; in either form it ends on a byte.
const SCHEME_HUFFMAN: [u8; 5] = [0xba, 0x51, 0xd8, 0x5b, 0x14];

/// A form in which a credential is on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Plain,
    Huffman,
}

impl Form {
    /// What a credential begins with in this form.
    const fn scheme(self) -> &'static [u8] {
        match self {
            Self::Plain => SCHEME,
            Self::Huffman => &SCHEME_HUFFMAN,
        }
    }
}

/// A credential, and what stands for it until it is encrypted. Whoever refers to it keeps the credential in its
/// memory: what is in force, and each request whose head is still to be encrypted.
#[derive(Debug)]
pub(crate) struct Substitute {
    credential: LockedCredential,
    text: String,
    plain: Placeholder,
    huffman: Placeholder,
}

impl Substitute {
    /// `random` fills a buffer.
    ///
    /// # Errors
    ///
    /// [`SubstitutionError`] when there is no randomness.
    pub(crate) fn new(
        credential: LockedCredential,
        random: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Result<Self, SubstitutionError> {
        let (header, huffman) = (credential.header(), credential.huffman());
        let plain = placeholder_for(header, huffman.len(), credential.slot(), random)?;
        let mut coded = vec![0; huffman.len()];
        huffman::encode(&plain, &mut coded).ok_or(SubstitutionError)?;
        if plain.len() != header.len() {
            return Err(SubstitutionError);
        }
        Ok(Self {
            text: String::from_utf8(plain.clone()).map_err(|_| SubstitutionError)?,
            plain: Placeholder::new(plain).ok_or(SubstitutionError)?,
            huffman: Placeholder::new(coded).ok_or(SubstitutionError)?,
            credential,
        })
    }

    /// What is in the Authorization header until the record is encrypted.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    pub(crate) fn credential(&self) -> &LockedCredential {
        &self.credential
    }

    /// Which of the [`SLOTS`] it is in.
    pub(crate) fn slot(&self) -> usize {
        self.credential.slot()
    }

    fn placeholder(&self, form: Form) -> &Placeholder {
        match form {
            Form::Plain => &self.plain,
            Form::Huffman => &self.huffman,
        }
    }

    fn secret(&self, form: Form) -> &[u8] {
        match form {
            Form::Plain => self.credential.header(),
            Form::Huffman => self.credential.huffman(),
        }
    }
}

/// The credentials that a placeholder may stand for: at most one in each slot.
#[derive(Debug, Default)]
pub(crate) struct CredentialSubstitution {
    by_slot: Mutex<[Weak<Substitute>; SLOTS]>,
}

/// Why there is no substitution.
#[derive(Debug)]
pub(crate) struct SubstitutionError;

impl fmt::Display for SubstitutionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("could not make a placeholder for the key")
    }
}

impl std::error::Error for SubstitutionError {}

/// Writes the Huffman-encoded form of a credential such as `Bearer sk-...` to `out`;
/// returns its length in bytes. `None` if it does not fit.
pub(crate) fn huffman_form(credential: &[u8], out: &mut [u8]) -> Option<usize> {
    huffman::encode(credential, out)
}

impl CredentialSubstitution {
    /// From now on its placeholder is replaced, as long as somebody refers to it.
    pub(crate) fn add(&self, substitute: &Arc<Substitute>) {
        if let Some(slot) = self.by_slot().get_mut(substitute.slot()) {
            *slot = Arc::downgrade(substitute);
        }
    }

    /// Whose placeholder goes on with `byte` behind the scheme.
    fn beginning(&self, form: Form, byte: u8) -> Option<Arc<Substitute>> {
        let at = form.scheme().len();
        let begins = |of: &Arc<Substitute>| of.placeholder(form).bytes().get(at) == Some(&byte);
        self.by_slot().iter().filter_map(Weak::upgrade).find(begins)
    }

    fn by_slot(&self) -> MutexGuard<'_, [Weak<Substitute>; SLOTS]> {
        self.by_slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The plaintext one connection has sent so far, as far as it matters here.
#[derive(Debug)]
enum Stream {
    /// Nothing yet: the first record says which protocol it is.
    New,
    H1(H1),
    H2(H2),
    /// A CONNECT to a proxy: the request to the upstream runs in a TLS connection
    /// of its own inside this one.
    Tunnel,
    Desynchronized,
}

impl Stream {
    /// Finds what is to be replaced in the next record.
    fn take(
        &mut self,
        substitution: &CredentialSubstitution,
        record: &[u8],
        splices: &mut Vec<Splice>,
    ) -> Result<(), Desynchronized> {
        if record.is_empty() {
            return Ok(());
        }
        if matches!(self, Self::New) {
            *self = match record {
                _ if record.starts_with(h2::PREFACE) => Self::H2(H2::new()),
                _ if record.starts_with(b"POST ") => Self::H1(H1::new()),
                _ if record.starts_with(b"CONNECT ") => Self::Tunnel,
                _ => Self::Desynchronized,
            };
        }
        let taken = match self {
            Self::H1(stream) => stream.take(substitution, record, splices),
            Self::H2(stream) => stream.take(substitution, record, splices),
            Self::Tunnel => Ok(()),
            Self::New | Self::Desynchronized => Err(Desynchronized),
        };
        if taken.is_err() {
            *self = Self::Desynchronized;
        }
        taken
    }
}

#[cfg(test)]
mod tests;
