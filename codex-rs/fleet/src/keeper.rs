//! Keeps the leases of one host: tops them up before they are spent, reports what was spent, and gives them back.

use std::sync::Arc;
use std::time::Duration;

use codex_ledger::{Ledger, Report};
use tokio::sync::{Notify, watch};
use tokio::time::sleep;

use crate::backoff::{Backoff, random};
use crate::error::StoreError;
use crate::health::Concern;
use crate::state::FleetState;
use crate::store::{Host, Store};

/// It is looked what is due so often.
const TICK: Duration = Duration::from_millis(100);

/// After somebody asked for more, so soon.
const SOON: Duration = Duration::from_millis(5);

/// How long giving back may take.
const LAST: Duration = Duration::from_secs(3);

/// What an operator is told.
#[derive(Debug)]
pub enum Notice<'a> {
    /// The server does not answer.
    Away(&'a StoreError),
    /// It answers, and something is wrong with it.
    Concern(&'a Concern),
    /// It does again, after so long.
    Back(Duration),
    /// What was spent last was not reported, and leases were not given back.
    NotGivenBack(&'a StoreError),
}

/// On which terms leases are had.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// How long they last; the same as that of the ledger.
    pub ttl: Duration,
    /// What is not reported of a lease that ends with its host is charged.
    pub is_strict: bool,
}

/// Keeps the leases of a ledger.
pub struct Keeper {
    ledger: Ledger,
    store: Store,
    host: Host,
    state: FleetState,
    /// Somebody needs more now.
    woken: Arc<Notify>,
    /// Told whenever leases may have changed.
    changes: watch::Sender<()>,
    say: Box<dyn Fn(Notice<'_>) + Send>,
    backoff: Backoff,
    number: u64,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeper").finish_non_exhaustive()
    }
}

impl Keeper {
    /// `woken` is what the ledger's `wake` notifies.
    #[must_use]
    pub fn new(
        ledger: Ledger,
        store: Store,
        terms: Terms,
        woken: Arc<Notify>,
        say: impl Fn(Notice<'_>) + Send + 'static,
    ) -> Self {
        Self {
            state: FleetState::new(store.address()),
            host: Host {
                id: format!("{:016x}{:016x}", random(), random()),
                ttl: terms.ttl,
                is_strict: terms.is_strict,
            },
            ledger,
            store,
            woken,
            changes: watch::Sender::new(()),
            say: Box::new(say),
            backoff: Backoff::default(),
            number: 0,
        }
    }

    /// How the server does.
    #[must_use]
    pub fn state(&self) -> FleetState {
        self.state.clone()
    }

    /// Changes whenever the server has answered, or does not.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changes.subscribe()
    }

    /// Takes the first leases, if the server is there.
    ///
    /// # Errors
    /// It is not, or takes no such password; [`Keeper::run`] tries again.
    pub async fn begin(&mut self) -> Result<(), StoreError> {
        let reports = self.ledger.reports(true);
        let told = self.tell(&reports).await;
        self.note(&told);
        told
    }

    /// Keeps them until `stop` is done, then gives them back.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = std::pin::pin!(stop);
        let mut wait = TICK;
        loop {
            let woken = Arc::clone(&self.woken);
            tokio::select! {
                () = &mut stop => break,
                () = woken.notified() => wait = SOON,
                () = sleep(wait) => wait = TICK,
            }
            let reports = self.ledger.reports(false);
            if reports.is_empty() && self.state.standing().is_up {
                if wait == SOON {
                    tokio::select! {
                        () = &mut stop => break,
                        () = sleep(SOON) => {}
                    }
                }
                continue;
            }
            let told = tokio::select! {
                () = &mut stop => break,
                told = self.tell(&reports) => told,
            };
            self.note(&told);
            if told.is_err() {
                let pause = self.backoff.next(random());
                tokio::select! {
                    () = &mut stop => break,
                    () = sleep(pause) => {}
                }
            }
        }
        self.give_back().await;
    }

    /// A server that is away is asked whether it is there even if there is nothing to tell it.
    async fn tell(&mut self, reports: &[Report]) -> Result<(), StoreError> {
        if !self.store.is_connected() {
            // Before anything is written: a replica takes nothing, and is named as what it is.
            let concerns = self.store.concerns().await?;
            if self.state.set_concerns(&concerns) {
                for concern in &concerns {
                    (self.say)(Notice::Concern(concern));
                }
            }
        }
        if reports.is_empty() {
            let mut connection = self.store.connected().await?;
            let pong: String = redis::cmd("PING").query_async(&mut connection).await?;
            return if pong == "PONG" {
                Ok(())
            } else {
                Err(StoreError::Answer)
            };
        }
        // Also of those that are not answered: they may be carried out yet, and come too late then.
        let first = self.number;
        let count = u64::try_from(reports.len()).unwrap_or(0);
        self.number = first.saturating_add(count);
        let answers = self.store.report(&self.host, reports, first).await?;
        for (report, (answer, time)) in reports.iter().zip(answers) {
            self.ledger.set_time(time, report.made_at());
            if let Some(answer) = answer {
                self.ledger.answered(report, &answer);
            }
        }
        Ok(())
    }

    fn note(&mut self, told: &Result<(), StoreError>) {
        match told {
            Ok(()) => {
                self.backoff.reset();
                self.ledger.set_away(false);
                if let Some(away) = self.state.answered() {
                    (self.say)(Notice::Back(away));
                }
            }
            Err(error) => {
                self.store.disconnect();
                self.ledger.set_away(true);
                if self.state.failed(&error.to_string()) {
                    (self.say)(Notice::Away(error));
                }
            }
        }
        self.changes.send_replace(());
    }

    async fn give_back(&mut self) {
        // The answer to what was under way is nobody's any more.
        self.store.disconnect();
        self.ledger.give_back();
        let reports = self.ledger.reports(true);
        if reports.is_empty() {
            return;
        }
        let told = codex_deadline::within(LAST, self.tell(&reports)).await;
        if let Err(error) = told.unwrap_or(Err(StoreError::Timeout)) {
            (self.say)(Notice::NotGivenBack(&error));
        }
    }
}
