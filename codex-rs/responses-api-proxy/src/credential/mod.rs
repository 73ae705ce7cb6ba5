//! What stands for the key while a request is made, and what recognises it if it
//! comes back.

pub(crate) mod alphabet;
mod fingerprint;
pub(crate) mod generation;
mod issued;
pub(crate) mod known_keys;
pub(crate) mod locked;
pub(crate) mod needle;
pub(crate) mod read_api_key;
pub(crate) mod redact;
pub(crate) mod refresh;
pub(crate) mod reload_requests;
pub(crate) mod renewal;
pub(crate) mod rotation;
pub(crate) mod source;
pub(crate) mod substitution;
pub(crate) mod workload;

use std::fmt;
use std::sync::Arc;

use http::HeaderValue;
use rustls::crypto::CryptoProvider;

use crate::access::policy::PermittedCall;
use crate::config::UpstreamUrl;
use crate::credential::generation::{Generations, HeadPermit, Unavailable};
use crate::credential::issued::Watch;
use crate::credential::known_keys::KnownKeys;
use crate::credential::locked::LockedCredential;
use crate::credential::needle::Needle;
use crate::credential::redact::Redactor;
use crate::credential::refresh::Refresher;
use crate::credential::substitution::{
    CredentialSubstitution, Substitute, SubstitutionError, substituting_provider,
};
use crate::observe::finished::CredentialFacts;
use crate::observe::metrics::exposition::CredentialStanding;
use crate::observe::printable::{KeyKnown, keep_out};

/// The Authorization header to send: over TLS a placeholder, which `substitution` replaces
/// by the key inside the record; in cleartext on this host `Bearer <key>` itself, in
/// the locked page it was read into.
///
/// Copying this copies references. Its `Debug` shows nothing.
#[derive(Clone, Copy)]
pub(crate) struct Credential {
    kind: Kind,
    known: &'static KnownKeys,
}

#[derive(Clone, Copy)]
enum Kind {
    /// The one key of this process.
    Fixed(&'static str),
    /// Each is replaced by the next.
    Changing(&'static Generations),
}

impl Credential {
    /// The header of the one key there will be, and the encryption that puts the key in its place.
    ///
    /// # Errors
    ///
    /// [`SubstitutionError`]: no placeholder could be made.
    pub(crate) fn fixed(
        key: LockedCredential,
        url: &UpstreamUrl,
    ) -> Result<(Self, CryptoProvider), SubstitutionError> {
        let provider = rustls::crypto::ring::default_provider();
        let mut random = |buffer: &mut [u8]| provider.secure_random.fill(buffer).is_ok();
        let needle = Needle::new(key.secret(), key.alphabet(), &mut random);
        let needle = Arc::new(needle.ok_or(SubstitutionError)?);
        // These are as long-lived as the key itself.
        let known: &'static KnownKeys = Box::leak(Box::new(KnownKeys::new(vec![needle])));
        if url.is_clear() {
            // No record to seal it in: the header itself, as a reference into the page.
            let kind = Kind::Fixed(key.header_for_good().ok_or(SubstitutionError)?);
            return Ok((Self { kind, known }, provider));
        }
        let substitution: &'static _ = Box::leak(Box::new(CredentialSubstitution::default()));
        let key: &'static _ = Box::leak(Box::new(Arc::new(Substitute::new(key, &mut random)?)));
        substitution.add(key);
        let kind = Kind::Fixed(key.text());
        Ok((Self { kind, known }, substituting_provider(substitution)))
    }

    /// Credentials of one `kind` that follow each other, the first of which is yet to come, and which `refresher` gets anew
    /// if they expire; and the encryption that puts each in its
    /// place.
    pub(crate) fn changing(
        kind: &'static str,
        url: &UpstreamUrl,
        refresher: Option<&'static Refresher>,
    ) -> (&'static Generations, CryptoProvider) {
        let known: &'static _ = Box::leak(Box::new(KnownKeys::new(Vec::new())));
        let substitution: &'static _ = Box::leak(Box::new(CredentialSubstitution::default()));
        let generations = Generations::new(kind, substitution, known, url.is_clear(), refresher);
        let provider = match url.is_clear() {
            true => rustls::crypto::ring::default_provider(),
            false => substituting_provider(substitution),
        };
        (Box::leak(Box::new(generations)), provider)
    }

    /// The Authorization of a call that was found to be permitted: the only way to it.
    ///
    /// # Errors
    ///
    /// [`Unavailable`]: no credential is in force, and none could be had.
    pub(crate) async fn authorize(
        self,
        _call: &PermittedCall,
    ) -> Result<Authorization, Unavailable> {
        let (mut value, permit, generation) = match self.kind {
            Kind::Fixed(header) => (HeaderValue::from_static(header), None, None),
            Kind::Changing(generations) => {
                let generation = generations.in_force().await?;
                let (value, permit) = generations.header(&generation)?;
                (value, permit, Some(generation))
            }
        };
        value.set_sensitive(true);
        Ok(Authorization {
            value,
            permit,
            of: Used {
                known: self.known,
                generation: generation.map(|of| (of.facts(), Arc::clone(of.watch()))),
            },
        })
    }

    /// From now on no line and no message of ours has a key in it.
    ///
    /// # Errors
    ///
    /// [`KeyKnown`], if that is so for the keys of another one already.
    pub(crate) fn keep_out_of_text(self) -> Result<(), KeyKnown> {
        keep_out(self.known)
    }

    /// For a request of which it is not decided yet what it goes with.
    pub(crate) fn not_used_yet(self) -> Used {
        Used {
            known: self.known,
            generation: None,
        }
    }

    /// The upstream has refused a request that went with `used`.
    pub(crate) fn note_refused(self, used: &Used) {
        if let (Kind::Changing(generations), Some(facts)) = (self.kind, used.facts()) {
            generations.refuse(facts.generation);
        }
    }

    /// How it stands with credentials that change; `None`: there is one key that stays.
    pub(crate) fn standing(self) -> Option<CredentialStanding> {
        match self.kind {
            Kind::Fixed(_) => None,
            Kind::Changing(generations) => Some(generations.standing()),
        }
    }

    /// There is no credential any more, from now on. One that stays for the life of the process does.
    pub(crate) fn expire(self) {
        match self.kind {
            Kind::Fixed(_) => {}
            Kind::Changing(generations) => generations.expire(),
        }
    }
}

impl From<&'static Generations> for Credential {
    fn from(generations: &'static Generations) -> Self {
        Self {
            kind: Kind::Changing(generations),
            known: generations.known(),
        }
    }
}

/// What goes up with one request. It copies nothing, and no log prints it. Without `Debug` or `Clone`.
pub(crate) struct Authorization {
    value: HeaderValue,
    permit: Option<HeadPermit>,
    of: Used,
}

/// Which credential a request went with. Without `Debug`.
#[derive(Clone)]
pub(crate) struct Used {
    known: &'static KnownKeys,
    /// `None`: the one that stays.
    generation: Option<(CredentialFacts, Arc<Watch>)>,
}

impl Used {
    /// Looks for keys in the answer to that request.
    pub(crate) fn redactor(&self) -> Redactor {
        let own = self.generation.as_ref();
        Redactor::new(self.known, own.map(|(_, watch)| Arc::clone(watch)))
    }

    /// Which one of those that change.
    pub(crate) fn facts(&self) -> Option<CredentialFacts> {
        self.generation.as_ref().map(|&(facts, _)| facts)
    }
}

impl Authorization {
    /// The field's value.
    pub(crate) fn into_value(self) -> HeaderValue {
        self.value
    }

    /// What keeps the credential until the head is encrypted; to be given to the connection with the request.
    pub(crate) fn take_permit(&mut self) -> Option<HeadPermit> {
        self.permit.take()
    }

    pub(crate) fn used(&self) -> Used {
        self.of.clone()
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn for_tests(value: &'static str) -> Self {
        Self {
            value: HeaderValue::from_static(value),
            permit: None,
            of: Used {
                known: KnownKeys::for_tests(b""),
                generation: None,
            },
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

#[cfg(test)]
mod tests;
