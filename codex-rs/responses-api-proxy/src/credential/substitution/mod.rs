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
mod tls;

use std::fmt;

use self::h1::H1;
use self::h2::H2;
use self::matcher::{Desynchronized, Pair, Splice};

pub(crate) use self::tls::substituting_provider;

/// What stands before the key in the header (RFC 6750, section 2.1).
pub(crate) const SCHEME: &[u8] = b"Bearer ";

/// The scheme is not a secret, and in either form it ends on a byte.
const SCHEME_HUFFMAN: usize = 5;

/// A placeholder and both forms of what it stands for.
#[derive(Debug)]
pub(crate) struct CredentialSubstitution {
    placeholder: &'static str,
    plain: Pair,
    huffman: Pair,
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
    /// `credential` is the header value `Bearer <key>` and `huffman` its
    /// [`huffman_form`], both in the locked page. `random` fills a buffer.
    ///
    /// # Errors
    ///
    /// [`SubstitutionError`] when there is no randomness or the forms do not belong together.
    pub(crate) fn new(
        credential: &'static str,
        huffman: &'static [u8],
        random: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Result<Self, SubstitutionError> {
        let placeholder = placeholder_for(credential.as_bytes(), huffman.len(), random)?;
        let mut placeholder_huffman = vec![0; huffman.len()];
        huffman::encode(&placeholder, &mut placeholder_huffman).ok_or(SubstitutionError)?;
        let text = String::from_utf8(placeholder.clone()).map_err(|_| SubstitutionError)?;
        Ok(Self {
            // Lives as long as the process, like what it stands for.
            placeholder: Box::leak(text.into_boxed_str()),
            plain: Pair::new(placeholder, credential.as_bytes(), SCHEME.len())
                .ok_or(SubstitutionError)?,
            huffman: Pair::new(placeholder_huffman, huffman, SCHEME_HUFFMAN)
                .ok_or(SubstitutionError)?,
        })
    }

    /// What is in the Authorization header until the record is encrypted.
    pub(crate) fn placeholder(&self) -> &'static str {
        self.placeholder
    }
}

/// `Bearer ` and random letters, as long as `credential` in plain and `huffman_len`
/// bytes long in code.
fn placeholder_for(
    credential: &[u8],
    huffman_len: usize,
    random: &mut dyn FnMut(&mut [u8]) -> bool,
) -> Result<Vec<u8>, SubstitutionError> {
    let mut text = credential.to_vec();
    let letters = text.get_mut(SCHEME.len()..).ok_or(SubstitutionError)?;
    if !random(letters) {
        return Err(SubstitutionError);
    }
    for byte in letters.iter_mut() {
        *byte = huffman::letter(*byte);
    }
    let wanted = u32::try_from(huffman_len).map_err(|_| SubstitutionError)?;
    // Exchange letters for longer or shorter Huffman codes until the length fits: a
    // few steps for a key that looks random, some hundreds for an odd one.
    for _ in 0..100_000 {
        let huffman = huffman::bits(&text).div_ceil(8);
        if huffman == wanted {
            return Ok(text);
        }
        let mut dice = [0; 3];
        if !random(&mut dice) {
            return Err(SubstitutionError);
        }
        let [high, low, letter] = dice;
        let letters = text.get_mut(SCHEME.len()..).ok_or(SubstitutionError)?;
        let place = usize::from(u16::from_be_bytes([high, low])) % letters.len().max(1);
        let old = letters.get_mut(place).ok_or(SubstitutionError)?;
        let new = huffman::letter(letter);
        let (old_bits, new_bits) = (huffman::bits(&[*old]), huffman::bits(&[new]));
        if (huffman < wanted) == (new_bits > old_bits) && new_bits != old_bits {
            *old = new;
        }
    }
    Err(SubstitutionError)
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
            Self::H1(stream) => stream.take(&substitution.plain, record, splices),
            Self::H2(stream) => stream.take(&substitution.huffman, record, splices),
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
