//! A crypto provider whose ciphers unseal: ring's suites, each with its record
//! encryption wrapped.

use rustls::crypto::CryptoProvider;
use rustls::crypto::cipher::{
    AeadKey, Iv, KeyBlockShape, MessageDecrypter, MessageEncrypter, OutboundChunks,
    OutboundOpaqueMessage, OutboundPlainMessage, Tls12AeadAlgorithm, Tls13AeadAlgorithm,
    UnsupportedOperationError,
};
use rustls::{
    CipherSuiteCommon, ConnectionTrafficSecrets, ContentType, Error, SupportedCipherSuite,
    Tls12CipherSuite, Tls13CipherSuite,
};

use super::matcher::Splice;
use super::{Seal, Stream};
use crate::report;

/// Fatal, internal_error (RFC 8446, section 6.2).
const FATAL_ALERT: &[u8] = &[2, 80];

/// ring's provider, with `seal` undone in what it encrypts as application data.
///
/// The suites live as long as the process, as rustls asks; call it once.
pub(crate) fn sealing_provider(seal: &'static Seal) -> CryptoProvider {
    let mut provider = rustls::crypto::ring::default_provider();
    provider.cipher_suites = provider
        .cipher_suites
        .iter()
        .map(|suite| match *suite {
            SupportedCipherSuite::Tls13(inner) => {
                SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                    common: common(&inner.common),
                    hkdf_provider: inner.hkdf_provider,
                    aead_alg: Box::leak(Box::new(Sealing {
                        inner: inner.aead_alg,
                        seal,
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
                    aead_alg: Box::leak(Box::new(Sealing {
                        inner: inner.aead_alg,
                        seal,
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

/// A cipher that hands out unsealing encrypters.
struct Sealing<A: 'static> {
    inner: A,
    seal: &'static Seal,
}

impl<A> Sealing<A> {
    fn wrap(&self, inner: Box<dyn MessageEncrypter>) -> Box<dyn MessageEncrypter> {
        Box::new(Unsealing {
            inner,
            seal: self.seal,
            stream: Stream::New,
            flat: Vec::new(),
        })
    }
}

impl Tls13AeadAlgorithm for Sealing<&'static dyn Tls13AeadAlgorithm> {
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

impl Tls12AeadAlgorithm for Sealing<&'static dyn Tls12AeadAlgorithm> {
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
/// A key update (RFC 8446, section 4.6.3) makes a new one in mid-stream, which
/// does not recognise what it gets and ends the connection: one failed request
/// where an upstream does that, never a placeholder sent.
struct Unsealing {
    inner: Box<dyn MessageEncrypter>,
    seal: &'static Seal,
    stream: Stream,
    /// A record that comes in several pieces, in one; without the key.
    flat: Vec<u8>,
}

impl MessageEncrypter for Unsealing {
    fn encrypt(
        &mut self,
        message: OutboundPlainMessage<'_>,
        seq: u64,
    ) -> Result<OutboundOpaqueMessage, Error> {
        if message.typ != ContentType::ApplicationData {
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
        if self.stream.take(self.seal, record, &mut splices).is_err() {
            // rustls takes an error here for impossible and panics; a fatal alert
            // says the same to the other side, which then hangs up.
            report::line("a request was stopped: its placeholder was not where it has to be");
            let alert = OutboundPlainMessage {
                typ: ContentType::Alert,
                version: message.version,
                payload: OutboundChunks::Single(FATAL_ALERT),
            };
            return self.inner.encrypt(alert, seq);
        }
        if splices.is_empty() {
            return self.inner.encrypt(message, seq);
        }
        let pieces = spliced(record, &splices);
        let unsealed = OutboundPlainMessage {
            typ: message.typ,
            version: message.version,
            payload: OutboundChunks::new(&pieces),
        };
        self.inner.encrypt(unsealed, seq)
    }

    fn encrypted_payload_len(&self, payload_len: usize) -> usize {
        self.inner.encrypted_payload_len(payload_len)
    }
}

/// The record with each splice in its place, as references.
fn spliced<'a>(record: &'a [u8], splices: &[Splice]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::with_capacity(splices.len() * 2 + 1);
    let mut from = 0;
    for splice in splices {
        pieces.push(record.get(from..splice.at).unwrap_or_default());
        pieces.push(splice.with);
        from = splice.at + splice.with.len();
    }
    pieces.push(record.get(from..).unwrap_or_default());
    pieces
}
