//! Pure: may a request go, is there to be an attempt, and when is the next one. Times are durations since some moment.

use std::fmt;
use std::time::Duration;

/// So long before it expires a credential is got anew, or half of its lifetime if that is less.
const AHEAD: Duration = Duration::from_secs(1200);

/// The wait after the first failure; it doubles with each, and is shortened by up to half, by chance, so that
/// many machines do not come at once.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// So often the upstream's 401 may take a credential from use.
const REJECTED_EVERY: Duration = Duration::from_secs(60);

/// A credential that is in use.
#[derive(Clone, Copy, Debug)]
struct Current {
    generation: u64,
    since: Duration,
    refresh_at: Duration,
    expires_at: Duration,
}

/// What there is, and what was tried.
#[derive(Debug)]
pub(crate) struct Schedule {
    current: Option<Current>,
    /// Of the last attempt.
    generation: u64,
    is_under_way: bool,
    /// A request waits for one.
    is_asked_for: bool,
    /// In a row.
    failures: u32,
    reason: String,
    /// No attempt before.
    not_before: Duration,
    rejected_at: Option<Duration>,
    refreshes: u64,
    all_failures: u64,
}

/// What a request is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Go, with the credential of this generation.
    Use(u64),
    /// Wait until an attempt is over, and ask again.
    Wait,
    /// There is none.
    Unavailable(Unavailable),
}

/// There is no credential, and none is asked for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unavailable {
    /// Why the last attempt failed.
    pub(crate) reason: String,
    /// How long until another is made.
    pub(crate) retry_after: Duration,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "there is no valid access token: {}", self.reason)
    }
}

impl std::error::Error for Unavailable {}

/// What whoever makes attempts has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Make one.
    Now,
    /// Look again after this time.
    After(Duration),
    /// Make one when a request needs it.
    WhenAsked,
}

/// For metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Of the credential in use; `None` if there is none that is valid.
    pub(crate) generation: Option<u64>,
    /// How old it is, and how long it is good for.
    pub(crate) age: Duration,
    pub(crate) expires_in: Duration,
    /// How often one was got, and how often not, since the start.
    pub(crate) refreshes: u64,
    pub(crate) failures: u64,
}

impl Schedule {
    /// With nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            current: None,
            generation: 0,
            is_under_way: false,
            is_asked_for: false,
            failures: 0,
            reason: "none was asked for yet".to_owned(),
            not_before: Duration::ZERO,
            rejected_at: None,
            refreshes: 0,
            all_failures: 0,
        }
    }

    fn valid(&self, now: Duration) -> Option<Current> {
        self.current.filter(|current| now < current.expires_at)
    }

    /// What a request is to do.
    pub(crate) fn ask(&mut self, now: Duration) -> Answer {
        if let Some(current) = self.valid(now) {
            return Answer::Use(current.generation);
        }
        if self.is_under_way || now >= self.not_before {
            self.is_asked_for = true;
            return Answer::Wait;
        }
        Answer::Unavailable(Unavailable {
            reason: self.reason.clone(),
            retry_after: self.not_before - now,
        })
    }

    /// Whether an attempt is due.
    pub(crate) fn next(&self, now: Duration) -> Next {
        let due = match self.valid(now) {
            _ if self.is_under_way => return Next::WhenAsked,
            Some(current) => current.refresh_at.max(self.not_before),
            None if self.is_asked_for => self.not_before,
            None => return Next::WhenAsked,
        };
        match due.checked_sub(now) {
            None | Some(Duration::ZERO) => Next::Now,
            Some(wait) => Next::After(wait),
        }
    }

    /// An attempt begins, for the generation of this number; `None` if one is under way, or too early.
    pub(crate) fn begin(&mut self, now: Duration) -> Option<u64> {
        if self.is_under_way || now < self.not_before {
            return None;
        }
        self.is_under_way = true;
        self.generation += 1;
        Some(self.generation)
    }

    /// The attempt, begun at `since`, came to a credential that is good for `lifetime` from then on. One that has expired
    /// on its way is a failure.
    pub(crate) fn succeeded(&mut self, since: Duration, lifetime: Duration, now: Duration) {
        let expires_at = since.saturating_add(lifetime);
        if expires_at <= now {
            return self.failed(
                now,
                "it took longer to come than it is good for".to_owned(),
                0,
            );
        }
        self.current = Some(Current {
            generation: self.generation,
            since,
            refresh_at: expires_at.saturating_sub(AHEAD.min(lifetime / 2)),
            expires_at,
        });
        self.is_under_way = false;
        self.is_asked_for = false;
        self.failures = 0;
        self.refreshes += 1;
        // Of one with a short life there is not one attempt after the other.
        self.not_before = since.saturating_add(FIRST_WAIT);
        "the last one has expired".clone_into(&mut self.reason);
    }

    /// The attempt came to nothing. What there was is used until it expires.
    pub(crate) fn failed(&mut self, now: Duration, reason: String, random: u32) {
        self.is_under_way = false;
        self.is_asked_for = false;
        self.failures = self.failures.saturating_add(1);
        self.all_failures += 1;
        self.reason = reason;
        let doubled = 2_u32.saturating_pow(self.failures - 1);
        let wait = FIRST_WAIT.saturating_mul(doubled).min(LONGEST_WAIT);
        let shortened = wait.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0);
        self.not_before = now.saturating_add(wait - shortened);
    }

    /// The attempt, if it is still under way, was given up.
    pub(crate) fn given_up(&mut self, now: Duration) {
        if self.is_under_way {
            self.failed(now, "the attempt was given up".to_owned(), 0);
        }
    }

    /// The upstream refused this generation; whether it is taken from use.
    pub(crate) fn rejected(&mut self, generation: u64, now: Duration) -> bool {
        let is_current = self
            .valid(now)
            .is_some_and(|it| it.generation == generation);
        let is_early = |at: Duration| now < at.saturating_add(REJECTED_EVERY);
        if !is_current || self.rejected_at.is_some_and(is_early) {
            return false;
        }
        self.rejected_at = Some(now);
        self.current = None;
        self.not_before = self.not_before.min(now);
        "the upstream refused the last one with 401".clone_into(&mut self.reason);
        true
    }

    pub(crate) fn figures(&self, now: Duration) -> Figures {
        let valid = self.valid(now);
        Figures {
            generation: valid.map(|current| current.generation),
            age: valid.map_or(Duration::ZERO, |current| now.saturating_sub(current.since)),
            expires_in: valid.map_or(Duration::ZERO, |current| {
                current.expires_at.saturating_sub(now)
            }),
            refreshes: self.refreshes,
            failures: self.all_failures,
        }
    }
}

#[cfg(test)]
mod tests;
