//! What stands for the key while a request is made, and what recognises it if it
//! comes back.

pub(crate) mod needle;
pub(crate) mod read_api_key;
pub(crate) mod redact;
#[allow(dead_code, reason = "the start-up does not use it yet")]
pub(crate) mod refresh;
pub(crate) mod source;
pub(crate) mod substitution;
#[allow(dead_code, reason = "the start-up does not use it yet")]
pub(crate) mod workload;

use std::fmt;

use http::HeaderValue;
use rustls::crypto::CryptoProvider;

use crate::access::policy::PermittedCall;
use crate::config::UpstreamUrl;
use crate::credential::needle::Needle;
use crate::credential::read_api_key::ApiKey;
use crate::credential::redact::Redactor;
use crate::credential::substitution::SCHEME;
use crate::credential::substitution::{
    CredentialSubstitution, SubstitutionError, substituting_provider,
};
use crate::observe::printable::{KeyKnown, keep_out};

/// The Authorization header to send: over TLS a placeholder, which `substitution` replaces
/// by the key inside the record; in cleartext on this host `Bearer <key>` itself, in
/// the locked page it was read into.
///
/// Copying this copies references. Its `Debug` shows nothing.
#[derive(Clone, Copy)]
pub(crate) struct Credential {
    header: &'static str,
    needle: &'static Needle,
}

impl Credential {
    /// The header, and the encryption that puts the key in its place.
    ///
    /// # Errors
    ///
    /// [`SubstitutionError`]: no placeholder could be made.
    pub(crate) fn new(
        key: ApiKey,
        url: &UpstreamUrl,
    ) -> Result<(Self, CryptoProvider), SubstitutionError> {
        let provider = rustls::crypto::ring::default_provider();
        let secret = key.header.as_bytes().get(SCHEME.len()..);
        let mut random = |buffer: &mut [u8]| provider.secure_random.fill(buffer).is_ok();
        let needle =
            Needle::new(secret.ok_or(SubstitutionError)?, &mut random).ok_or(SubstitutionError)?;
        // As long-lived as the key itself.
        let needle: &'static Needle = Box::leak(Box::new(needle));
        if url.is_clear() {
            // No record to seal it in: the header itself, as a reference into the page.
            let credential = Self {
                header: key.header,
                needle,
            };
            return Ok((credential, provider));
        }
        let substitution = CredentialSubstitution::new(key.header, key.huffman, &mut random)?;
        // As long-lived as the key itself.
        let substitution: &'static CredentialSubstitution = Box::leak(Box::new(substitution));
        let credential = Self {
            header: substitution.placeholder(),
            needle,
        };
        Ok((credential, substituting_provider(substitution)))
    }

    /// The Authorization of a call that was found to be permitted: the only way to it.
    pub(crate) fn authorize(self, _call: &PermittedCall) -> Authorization {
        let mut value = HeaderValue::from_static(self.header);
        value.set_sensitive(true);
        Authorization(value)
    }

    /// From now on no line and no message of ours has the key in it.
    ///
    /// # Errors
    ///
    /// [`KeyKnown`], if that is so for another one already.
    pub(crate) fn keep_out_of_text(self) -> Result<(), KeyKnown> {
        keep_out(self.needle)
    }

    /// Looks for the key in one answer.
    pub(crate) fn redactor(self) -> Redactor {
        Redactor::new(self.needle)
    }
}

/// What goes up with one request. It copies nothing, and no log prints it. Without `Debug` or `Clone`.
pub(crate) struct Authorization(HeaderValue);

impl Authorization {
    /// The field's value.
    pub(crate) fn into_value(self) -> HeaderValue {
        self.0
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests(value: &'static str) -> Self {
        Self(HeaderValue::from_static(value))
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: ApiKey = ApiKey {
        header: "Bearer sk-secret",
        huffman: &[],
    };

    fn header(credential: Credential) -> HeaderValue {
        credential.authorize(&PermittedCall::probe()).into_value()
    }

    #[test]
    fn in_clear_it_is_the_key_and_over_tls_it_is_not() {
        let clear = UpstreamUrl::parse("http://127.0.0.1/").unwrap();
        let (credential, _) = Credential::new(KEY, &clear).unwrap();
        assert_eq!(header(credential), "Bearer sk-secret");
        let mut huffman = [0; 32];
        let len =
            crate::credential::substitution::huffman_form(KEY.header.as_bytes(), &mut huffman)
                .unwrap();
        let key = ApiKey {
            huffman: Box::leak(huffman[..len].to_vec().into_boxed_slice()),
            ..KEY
        };
        let tls = UpstreamUrl::parse("https://example.com/").unwrap();
        let (credential, _) = Credential::new(key, &tls).unwrap();
        assert_ne!(header(credential), "Bearer sk-secret");
        assert_eq!(header(credential).len(), KEY.header.len());
    }

    /// A field that is indexed is in the other side's table, and later requests say only
    /// where: the key would be in memory there, and `substitution` would find nothing to replace.
    #[tokio::test]
    async fn http_2_writes_it_out_each_time_and_never_indexes_it() {
        use tokio::io::AsyncReadExt;

        /// RFC 7541, section 6.2.3: never indexed, by a name of the static table, which for
        /// `authorization` is number 23.
        const NEVER_INDEXED: [u8; 2] = [0x1f, 23 - 15];

        let clear = UpstreamUrl::parse("http://127.0.0.1/").unwrap();
        let (credential, _) = Credential::new(KEY, &clear).unwrap();
        let (ours, mut theirs) = tokio::io::duplex(64 * 1024);
        let (send, connection) = h2::client::handshake(ours).await.unwrap();
        let connection = tokio::spawn(connection);
        let mut send = send.ready().await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..3 {
            let mut request = http::Request::post("http://127.0.0.1/").body(()).unwrap();
            let authorization = credential.authorize(&PermittedCall::probe());
            let headers = request.headers_mut();
            headers.insert(http::header::AUTHORIZATION, authorization.into_value());
            answers.push(send.send_request(request, true).unwrap());
        }
        let mut written = Vec::new();
        let mut huffman = [0; 32];
        let len =
            crate::credential::substitution::huffman_form(KEY.header.as_bytes(), &mut huffman)
                .unwrap();
        let huffman = &huffman[..len];
        // Until all three are there; the connection ends only with the other side's answers.
        let count = |written: &[u8]| {
            let fields = written.windows(len + 3);
            fields
                .filter(|field| field[..2] == NEVER_INDEXED && &field[3..] == huffman)
                .count()
        };
        while count(&written) < 3 {
            assert_ne!(theirs.read_buf(&mut written).await.unwrap(), 0);
        }
        connection.abort();
        let all = written.windows(len).filter(|part| part == &huffman).count();
        assert_eq!((count(&written), all), (3, 3));
    }

    #[test]
    fn it_shows_nothing_of_itself() {
        let clear = UpstreamUrl::parse("http://127.0.0.1/").unwrap();
        let (credential, _) = Credential::new(KEY, &clear).unwrap();
        assert_eq!(format!("{credential:?}"), "Credential");
        assert_eq!(format!("{:?}", header(credential)), "Sensitive");
    }
}
