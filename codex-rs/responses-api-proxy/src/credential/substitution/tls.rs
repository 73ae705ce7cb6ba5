//! A crypto provider whose ciphers substitute: ring's suites, each with its record
//! encryption wrapped.

use std::cell::Cell;

use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundOpaqueMessage, OutboundPlainMessage, Tls12AeadAlgorithm, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, ProtocolVersion,
    SupportedCipherSuite, Tls12CipherSuite, Tls13CipherSuite,
};

use super::matcher::Splice;
use super::{CredentialSubstitution, Stream, sealed};
use crate::observe::stderr;

/// Fatal, internal_error (RFC 8446, section 6.2).
const FATAL_ALERT: &[u8] = &[2, 80];

/// ring's provider, with `substitution` made in what it encrypts as application data.
///
/// The suites live as long as the process, as rustls asks; call it once.
pub(crate) fn substituting_provider(
    substitution: &'static CredentialSubstitution,
) -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = provider
        .cipher_suites
        .iter()
        .map(|suite| match *suite {
            SupportedCipherSuite::Tls13(inner) => {
                SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                    common: common(&inner.common),
                    hkdf_provider: inner.hkdf_provider,
                    aead_alg: Box::leak(Box::new(SubstitutingSuite {
                        inner: inner.aead_alg,
                        substitution,
                    })),
                    quic: None,
                })))
            }
            SupportedCipherSuite::Tls12(inner) => {
                SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                    common: common(&inner.common),
                    prf_provider: inner.prf_provider,
                    kx: inner.kx,
                    sign: inner.sign,
                    aead_alg: Box::leak(Box::new(SubstitutingSuite {
                        inner: inner.aead_alg,
                        substitution,
                    })),
                })))
            }
        })
        .collect();
    provider
}

fn common(inner: &CipherSuiteCommon) -> CipherSuiteCommon {
    CipherSuiteCommon {
        suite: inner.suite,
        hash_provider: inner.hash_provider,
        confidentiality_limit: inner.confidentiality_limit,
    }
}

thread_local! {
    /// A connection is renewing its keys (RFC 8446, section 4.6.3): rustls sends the
    /// message that says so, then asks for the next encrypter, in one go.
    static RENEWING: Cell<bool> = const { Cell::new(false) };
}

/// A cipher that hands out unsealing encrypters.
struct SubstitutingSuite<A: 'static> {
    inner: A,
    substitution: &'static CredentialSubstitution,
}

impl<A> SubstitutingSuite<A> {
    fn wrap(&self, inner: Box<dyn MessageEncrypter>) -> Box<dyn MessageEncrypter> {
        // In mid-stream there is no telling where a head begins.
        let stream = if RENEWING.take() {
            Stream::Desynchronized
        } else {
            Stream::New
        };
        Box::new(SubstitutingEncrypter {
            inner,
            substitution: self.substitution,
            stream,
            flat: Vec::new(),
        })
    }
}

impl Tls13AeadAlgorithm for SubstitutingSuite<&'static dyn Tls13AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageEncrypter> {
        self.wrap(self.inner.encrypter(key, iv))
    }

    fn decrypter(&self, key: AeadKey, iv: Iv) -> Box<dyn MessageDecrypter> {
        self.inner.decrypter(key, iv)
    }

    fn key_len(&self) -> usize {
        self.inner.key_len()
    }

    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: Iv,
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        // Encryption elsewhere would send the placeholder.
        Err(UnsupportedOperationError)
    }
}

impl Tls12AeadAlgorithm for SubstitutingSuite<&'static dyn Tls12AeadAlgorithm> {
    fn encrypter(&self, key: AeadKey, iv: &[u8], extra: &[u8]) -> Box<dyn MessageEncrypter> {
        self.wrap(self.inner.encrypter(key, iv, extra))
    }

    fn decrypter(&self, key: AeadKey, iv: &[u8]) -> Box<dyn MessageDecrypter> {
        self.inner.decrypter(key, iv)
    }

    fn key_block_shape(&self) -> KeyBlockShape {
        self.inner.key_block_shape()
    }

    fn extract_keys(
        &self,
        _key: AeadKey,
        _iv: &[u8],
        _explicit: &[u8],
    ) -> Result<ConnectionTrafficSecrets, UnsupportedOperationError> {
        Err(UnsupportedOperationError)
    }
}

/// Encrypts one direction of one connection.
///
/// A renewal of keys makes a new one in mid-stream, which ends the connection: the
/// requests on it fail where an upstream does that, or after 16 million records,
/// and never is a placeholder sent.
struct SubstitutingEncrypter {
    inner: Box<dyn MessageEncrypter>,
    substitution: &'static CredentialSubstitution,
    stream: Stream,
    /// A record that comes in several pieces, in one; without the key.
    flat: Vec<u8>,
}

impl SubstitutingEncrypter {
    /// Ends the connection in the place of a record. rustls takes an error of a cipher for impossible and
    /// panics; a fatal alert says the same to the other side, which then hangs up.
    fn stop(&mut self, version: ProtocolVersion, seq: u64) -> Result<OutboundOpaqueMessage, Error> {
        self.stream = Stream::Desynchronized;
        stderr::line("a request was stopped: its placeholder was not where it has to be");
        let alert = OutboundPlainMessage {
            typ: ContentType::Alert,
            version,
            payload: OutboundChunks::Single(FATAL_ALERT),
        };
        self.inner.encrypt(alert, seq)
    }
}

impl MessageEncrypter for SubstitutingEncrypter {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        if message.typ != ContentType::ApplicationData {
            let has_begun = !matches!(self.stream, Stream::New);
            RENEWING.set(message.typ == ContentType::Handshake && has_begun);
            return self.inner.encrypt(message, seq);
        }
        let record = match message.payload {
            OutboundChunks::Single(record) => record,
            ref pieces @ OutboundChunks::Multiple { .. } => {
                self.flat.clear();
                pieces.copy_to_vec(&mut self.flat);
                &self.flat
            }
        };
        let mut splices = Vec::new();
        if self
            .stream
            .take(self.substitution, record, &mut splices)
            .is_err()
        {
            return self.stop(message.version, seq);
        }
        if splices.is_empty() {
            return self.inner.encrypt(message, seq);
        }
        let Some(pieces) = spliced(record, &splices) else {
            return self.stop(message.version, seq);
        };
        let unsealed = OutboundPlainMessage {
            typ: message.typ,
            version: message.version,
            payload: OutboundChunks::new(&pieces),
        };
        let encrypted = self.inner.encrypt(unsealed, seq);
        for slot in splices.iter().filter_map(|splice| splice.with.completes()) {
            sealed::note(slot);
        }
        encrypted
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.inner.encrypted_payload_len(payload_len)
    }
}

/// The record with each splice in its place, as references; `None` if a splice lies outside of it or in
/// another one, which would make another message of it.
fn spliced<'a>(record: &'a [u8], splices: &'a [Splice]) -> Option<Vec<&'a [u8]>> {
    let mut pieces = Vec::with_capacity(splices.len() * 2 + 1);
    let mut from = 0;
    for splice in splices {
        let with = splice.with.bytes();
        pieces.push(record.get(from..splice.at)?);
        pieces.push(with);
        from = splice.at + with.len();
    }
    pieces.push(record.get(from..)?);
    Some(pieces)
}

#[cfg(test)]
mod tests {
    use rustls::crypto::cipher::InboundOpaqueMessage;

    use super::*;
    use crate::credential::substitution::tests::{Fixture, fixture};

    fn substitution() -> &'static Fixture {
        Box::leak(Box::new(fixture("sk-test-key")))
    }

    fn cipher(fixture: &'static Fixture) -> &'static dyn Tls13AeadAlgorithm {
        let provider = substituting_provider(&fixture.substitution);
        let suite = provider
            .cipher_suites
            .iter()
            .find_map(|suite| suite.tls13());
        suite.unwrap().aead_alg
    }

    fn encrypter(cipher: &dyn Tls13AeadAlgorithm) -> Box<dyn MessageEncrypter> {
        cipher.encrypter(AeadKey::from([7; 32]), Iv::from([7; 12]))
    }

    /// Encrypts one record and says what the other side gets: its type and its bytes.
    fn received(
        cipher: &dyn Tls13AeadAlgorithm,
        encrypter: &mut dyn MessageEncrypter,
        typ: ContentType,
        bytes: &[u8],
        seq: u64,
    ) -> (ContentType, Vec<u8>) {
        let message = OutboundPlainMessage {
            typ,
            version: ProtocolVersion::TLSv1_3,
            payload: OutboundChunks::Single(bytes),
        };
        let sent = encrypter.encrypt(message, seq).unwrap();
        let mut payload = sent.payload.as_ref().to_vec();
        let opaque = InboundOpaqueMessage::new(sent.typ, sent.version, &mut payload);
        let mut decrypter = cipher.decrypter(AeadKey::from([7; 32]), Iv::from([7; 12]));
        let plain = decrypter.decrypt(opaque, seq).unwrap();
        (plain.typ, plain.payload.to_vec())
    }

    #[test]
    fn the_key_is_in_the_record_and_the_placeholder_is_not() {
        let substitution = substitution();
        let cipher = cipher(substitution);
        let head = format!(
            "POST / HTTP/1.1\r\nauthorization: {}\r\n\r\n",
            substitution.placeholder()
        );
        let mut encrypter = encrypter(cipher);
        let data = ContentType::ApplicationData;
        let (typ, bytes) = received(cipher, &mut *encrypter, data, head.as_bytes(), 0);
        let expected = b"POST / HTTP/1.1\r\nauthorization: Bearer sk-test-key\r\n\r\n";
        assert_eq!((typ, bytes.as_slice()), (data, &expected[..]));
    }

    #[test]
    fn a_splice_that_does_not_fit_makes_no_other_record() {
        let substitution = substitution();
        let head = format!(
            "POST / HTTP/1.1\r\nauthorization: {}\r\n",
            substitution.placeholder()
        );
        let mut splices = Vec::new();
        let taken = Stream::New.take(&substitution.substitution, head.as_bytes(), &mut splices);
        assert!(taken.is_ok());
        assert!(spliced(head.as_bytes(), &splices).is_some());
        assert!(spliced(&head.as_bytes()[..45], &splices).is_none());
        assert!(spliced(&head.as_bytes()[..30], &splices).is_none());
        let twice = [splices[0].clone(), splices[0].clone()];
        assert!(spliced(head.as_bytes(), &twice).is_none());
    }

    #[test]
    fn after_a_renewal_of_keys_nothing_is_sent_any_more() {
        let substitution = substitution();
        let cipher = cipher(substitution);
        let head = format!(
            "POST / HTTP/1.1\r\nauthorization: {}\r\n",
            substitution.placeholder()
        );
        let mut before = encrypter(cipher);
        let data = ContentType::ApplicationData;
        received(cipher, &mut *before, data, head.as_bytes(), 0);
        received(
            cipher,
            &mut *before,
            ContentType::Handshake,
            &[24, 0, 0, 1, 0],
            1,
        );
        let mut after = encrypter(cipher);
        for crafted in ["CONNECT a HTTP/1.1\r\n\r\n", "POST / HTTP/1.1\r\n"] {
            let (typ, bytes) = received(cipher, &mut *after, data, crafted.as_bytes(), 0);
            assert_eq!((typ, bytes.as_slice()), (ContentType::Alert, FATAL_ALERT));
        }
        // The next connection is none the worse for it.
        let mut other = encrypter(cipher);
        let (typ, _) = received(cipher, &mut *other, data, b"CONNECT a HTTP/1.1\r\n\r\n", 0);
        assert_eq!(typ, data);
    }
}
