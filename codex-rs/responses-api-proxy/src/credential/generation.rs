//! Credentials that follow each other: which one is in force, and what becomes of those before it.
//!
//! A request takes the one in force when it is authorised, and its head goes up with that one. A credential that
//! was replaced stays in its memory until the last such head is encrypted, however long the answers take; then
//! it is wiped. Answers are searched for it until the next one but one.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use codex_deadline::within;
use http::HeaderValue;

use crate::credential::issued::{IssuedKeys, Watch};
use crate::credential::known_keys::KnownKeys;
use crate::credential::locked::LockedCredential;
#[cfg(test)]
use crate::credential::locked::SLOTS;
use crate::credential::needle::Needle;
use crate::credential::refresh::Refresher;
use crate::credential::reload_requests::ReloadRequests;
use crate::credential::substitution::{CredentialSubstitution, Substitute, SubstitutionError};
use crate::observe::finished::CredentialFacts;
use crate::observe::metrics::exposition::CredentialStanding;
use crate::observe::stderr;

/// How long a request waits for an exchange: a little longer than its two steps may take.
const PATIENCE: Duration = Duration::from_secs(65);

/// So often a request looks for a credential that it was told is there.
const MOST_LOOKS: usize = 4;

/// One credential of a sequence.
pub(crate) struct Generation {
    facts: CredentialFacts,
    substitute: Arc<Substitute>,
    watch: Arc<Watch>,
    since: Instant,
}

/// Whoever has one keeps the credential of a request's head in its memory until that head is encrypted.
#[derive(Clone)]
pub(crate) struct HeadPermit(Arc<Substitute>);

impl HeadPermit {
    /// Which of the [`SLOTS`](crate::credential::locked::SLOTS) it keeps.
    pub(crate) fn slot(&self) -> usize {
        self.0.slot()
    }

    /// One for the credential in each slot, in their order, and which of these are still kept.
    #[cfg(test)]
    pub(crate) fn several_for_tests() -> ([Self; SLOTS], impl Fn() -> [bool; SLOTS]) {
        use crate::credential::locked::{Room, SlotPool};

        let (pool, _) = SlotPool::new(Room::Key, true).unwrap();
        let mut next = 1_u8;
        let mut random = |buffer: &mut [u8]| {
            buffer.fill_with(|| {
                next = next.wrapping_mul(77).wrapping_add(31);
                next
            });
            true
        };
        let permits = [(); SLOTS].map(|()| {
            let mut slot = pool.take(Duration::ZERO).unwrap();
            slot.token_mut()[..8].fill(b'k');
            let substitute = Substitute::new(slot.finish(8).unwrap(), &mut random);
            Self(Arc::new(substitute.unwrap()))
        });
        let kept = permits.each_ref().map(|permit| Arc::downgrade(&permit.0));
        (permits, move || {
            kept.each_ref().map(|kept| kept.strong_count() > 0)
        })
    }
}

impl fmt::Debug for HeadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HeadPermit")
    }
}

/// There is no credential in force, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable(pub(crate) Arc<str>);

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unavailable {}

/// All that requests ask of credentials that follow each other; for the life of the process.
pub(crate) struct Generations {
    /// Where they come from, such as `file`.
    kind: &'static str,
    substitution: &'static CredentialSubstitution,
    known: &'static KnownKeys,
    /// Credentials go up in cleartext, within this host.
    is_clear: bool,
    /// Knows when one expires, and gets the next; `None` where they do not.
    refresher: Option<&'static Refresher>,
    state: RwLock<State>,
    issued: IssuedKeys,
    reload_requests: ReloadRequests,
}

#[derive(Default)]
struct State {
    current: Option<Arc<Generation>>,
    /// How many there have been.
    count: u64,
    /// How many attempts have failed.
    failures: u64,
    /// There will be no other one.
    has_expired: bool,
}

impl Generations {
    pub(crate) fn new(
        kind: &'static str,
        substitution: &'static CredentialSubstitution,
        known: &'static KnownKeys,
        is_clear: bool,
        refresher: Option<&'static Refresher>,
    ) -> Self {
        Self {
            kind,
            substitution,
            known,
            is_clear,
            refresher,
            state: RwLock::default(),
            issued: IssuedKeys::default(),
            reload_requests: ReloadRequests::default(),
        }
    }

    /// From now on requests go with this one, unless the time of all is over. Its number is one that none before had.
    ///
    /// # Errors
    ///
    /// [`SubstitutionError`]; the one before stays in force.
    pub(crate) fn replace(
        &self,
        credential: LockedCredential,
        number: u64,
    ) -> Result<(), SubstitutionError> {
        let random = rustls::crypto::ring::default_provider().secure_random;
        let mut random = |buffer: &mut [u8]| random.fill(buffer).is_ok();
        let needle = Needle::new(credential.secret(), credential.alphabet(), &mut random);
        let needle = Arc::new(needle.ok_or(SubstitutionError)?);
        let substitute = Arc::new(Substitute::new(credential, &mut random)?);
        self.substitution.add(&substitute);
        // Before anybody sends it, it is looked for.
        let (watch, needles) = self.issued.add(&substitute, needle);
        self.known.replace(needles);
        let next = Arc::new(Generation {
            facts: CredentialFacts {
                kind: self.kind,
                generation: number,
            },
            substitute,
            watch,
            since: Instant::now(),
        });
        let before = {
            let mut state = self.state_mut();
            if state.has_expired {
                return Ok(());
            }
            state.count += 1;
            state.current.replace(next)
        };
        // Wiped here, if nobody needs it, and not while others wait for a look at the new one.
        drop(before);
        Ok(())
    }

    /// From now on there is none, whatever comes: the one in force is wiped when the last request head that has it is
    /// encrypted.
    pub(crate) fn expire(&self) {
        let before = {
            let mut state = self.state_mut();
            state.has_expired = true;
            state.current.take()
        };
        drop(before);
    }

    /// Whether `credential` is the one in force.
    pub(crate) fn is_in_force(&self, credential: &LockedCredential) -> bool {
        let state = self.state();
        let current = state.current.as_ref();
        current.is_some_and(|current| current.watch.needle().is(credential.secret()))
    }

    /// Counts an attempt at a new one that came to nothing.
    pub(crate) fn count_failure(&self) {
        self.state_mut().failures += 1;
    }

    /// The upstream has refused the one of this number.
    pub(crate) fn refuse(&self, number: u64) {
        let Some(refresher) = self.refresher else {
            return self.reload_requests.refused(number);
        };
        if refresher.rejected(number) {
            let is_it = |current: &mut Arc<Generation>| current.facts.generation == number;
            let refused = self.state_mut().current.take_if(is_it);
            drop(refused);
            stderr::line(
                "the upstream refuses the access token (401); the next request gets a new one",
            );
        }
    }

    /// Requests that the key be read again.
    pub(crate) fn reload_requests(&self) -> &ReloadRequests {
        &self.reload_requests
    }

    /// For those who watch.
    pub(crate) fn standing(&self) -> CredentialStanding {
        let figures = self.refresher.map(|refresher| refresher.figures());
        let is_good = figures.is_none_or(|figures| figures.generation.is_some());
        let state = self.state();
        let current = state.current.as_ref().filter(|_| is_good);
        CredentialStanding {
            kind: self.kind,
            expires_in: figures.filter(|_| is_good).map(|it| it.expires_in),
            generation: state.count,
            age: current.map(|current| current.since.elapsed()),
            failures: state.failures,
        }
    }

    /// The one in force. Of those that expire it is one that has not; if there is none, one is waited for.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] when none can be had now.
    pub(crate) async fn in_force(&self) -> Result<Arc<Generation>, Unavailable> {
        for _ in 0..MOST_LOOKS {
            if self.state().has_expired {
                return Err(unavailable("its time is over (--expire-after)"));
            }
            if let Some(refresher) = self.refresher {
                let current = within(PATIENCE, refresher.current()).await;
                let current =
                    current.ok_or_else(|| unavailable("the token exchange takes too long"))?;
                current.map_err(|why| Unavailable(why.to_string().into()))?;
            }
            // Gone only if it was refused just then.
            if let Some(current) = &self.state().current {
                return Ok(Arc::clone(current));
            }
        }
        Err(unavailable("none is in force"))
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn known(&self) -> &'static KnownKeys {
        self.known
    }

    /// The header value that goes to hyper, and what keeps the credential until it is encrypted: over TLS a
    /// placeholder, in cleartext the credential, which the value itself keeps.
    pub(super) fn header(
        &self,
        generation: &Generation,
    ) -> Result<(HeaderValue, Option<HeadPermit>), Unavailable> {
        let substitute = &generation.substitute;
        let (bytes, permit) = if self.is_clear {
            let owned = Cleartext(Arc::clone(substitute));
            (Bytes::from_owner(owned), None)
        } else {
            let text = Bytes::copy_from_slice(substitute.text().as_bytes());
            (text, Some(HeadPermit(Arc::clone(substitute))))
        };
        let value = HeaderValue::from_maybe_shared(bytes);
        let value = value.map_err(|_| unavailable("the credential cannot stand in a header"))?;
        Ok((value, permit))
    }
}

impl Generation {
    pub(crate) fn facts(&self) -> CredentialFacts {
        self.facts
    }

    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }
}

fn unavailable(why: &str) -> Unavailable {
    Unavailable(why.into())
}

/// The header value in its locked memory.
struct Cleartext(Arc<Substitute>);

impl AsRef<[u8]> for Cleartext {
    fn as_ref(&self) -> &[u8] {
        self.0.credential().header()
    }
}

impl fmt::Debug for Generations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Generations")
    }
}

#[cfg(test)]
mod tests;
