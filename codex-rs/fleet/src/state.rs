//! How the server does, for whoever asks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::health::Concern;

/// How the server does; clones are the same.
#[derive(Clone, Debug)]
pub struct FleetState(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    address: String,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    is_up: bool,
    last_answer: Instant,
    errors: u64,
    error: Option<String>,
    concerns: Vec<Concern>,
}

/// How the server does now.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Where it is.
    pub address: String,
    /// Whether it has answered the last time.
    pub is_up: bool,
    /// How long ago it has last answered; since the start if it never has.
    pub since_answer: Duration,
    /// How often it has not, since the start.
    pub errors: u64,
    /// Why not, if it is not up.
    pub error: Option<String>,
    /// What is wrong with it though it answers.
    pub concerns: Vec<Concern>,
}

impl FleetState {
    /// Of a server that was not asked yet.
    #[must_use]
    pub fn new(address: String) -> Self {
        Self(Arc::new(Shared {
            address,
            state: Mutex::new(State {
                is_up: false,
                last_answer: Instant::now(),
                errors: 0,
                error: None,
                concerns: Vec::new(),
            }),
        }))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How it does now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let state = self.lock();
        Standing {
            address: self.0.address.clone(),
            is_up: state.is_up,
            since_answer: state.last_answer.elapsed(),
            errors: state.errors,
            error: state.error.clone(),
            concerns: state.concerns.clone(),
        }
    }

    /// It has answered. How long it had not, if it was away.
    pub(crate) fn answered(&self) -> Option<Duration> {
        let mut state = self.lock();
        let before = std::mem::replace(&mut state.last_answer, Instant::now());
        let was_away = !std::mem::replace(&mut state.is_up, true);
        let has_failed = state.error.take().is_some();
        (was_away && has_failed).then(|| before.elapsed())
    }

    /// What is wrong with it. Whether that is news.
    pub(crate) fn set_concerns(&self, concerns: &[Concern]) -> bool {
        let mut state = self.lock();
        let is_new = state.concerns != concerns;
        state.concerns = concerns.to_vec();
        is_new
    }

    /// It has not. Whether it did before.
    pub(crate) fn failed(&self, error: &str) -> bool {
        let mut state = self.lock();
        state.errors = state.errors.saturating_add(1);
        let is_new = state.error.is_none();
        state.error = Some(error.to_owned());
        state.is_up = false;
        is_new
    }
}
