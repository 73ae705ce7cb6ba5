//! Access tokens that follow each other: each is got by an exchange, before the one before it expires.
//!
//! One thread makes the exchanges, in a sandbox that lets it reach the servers that they take and no others, and read
//! the file with the identity token, if it is one.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use codex_secret_memory::{PageError, SecretPage};
use zeroize::Zeroize;

use crate::credential::generation::Generations;
use crate::credential::locked::{NotACredential, SlotPool};
use crate::credential::refresh::Refresher;
use crate::credential::workload::error::ExchangeError;
use crate::credential::workload::{MAX_TOKEN, TokenClient};
use crate::lifecycle::clock::since_boot;
use crate::observe::printable::excerpt;
use crate::observe::stderr;

/// How long a new token waits for memory: requests that have older ones may be slow to be sent.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why there is no new token.
#[derive(Debug)]
pub(crate) enum RenewalError {
    Exchange(ExchangeError),
    /// What came cannot stand in a header.
    Token,
    /// It took longer to come than it is good for.
    Late,
    /// Requests with older tokens are still to be sent.
    NoMemory,
}

impl fmt::Display for RenewalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exchange(error) => error.fmt(f),
            Self::Token => f.write_str("the access token cannot stand in a header"),
            Self::Late => f.write_str("the access token took longer to come than it is good for"),
            Self::NoMemory => f.write_str(
                "requests with three older access tokens are still to be sent to the upstream",
            ),
        }
    }
}

impl std::error::Error for RenewalError {}

/// What gets the next token.
pub(crate) struct TokenRenewal {
    client: TokenClient,
    /// GitHub's; empty where there is none.
    request_token: &'static [u8],
    /// For the identity token on its way.
    scratch: SecretPage,
    pool: Arc<SlotPool>,
    generations: &'static Generations,
    refresher: &'static Refresher,
    /// The last attempt failed, and that was said.
    has_failed: bool,
}

impl TokenRenewal {
    /// # Errors
    ///
    /// No locked memory for the identity token.
    pub(crate) fn new(
        client: TokenClient,
        request_token: &'static [u8],
        pool: Arc<SlotPool>,
        generations: &'static Generations,
        refresher: &'static Refresher,
        allow_unlocked: bool,
    ) -> Result<Self, PageError> {
        Ok(Self {
            client,
            request_token,
            scratch: SecretPage::with_capacity(MAX_TOKEN, allow_unlocked)?,
            pool,
            generations,
            refresher,
            has_failed: false,
        })
    }

    /// Gets the first one.
    ///
    /// # Errors
    ///
    /// [`RenewalError`].
    pub(crate) async fn first(&mut self) -> Result<(), RenewalError> {
        let refresher = self.refresher;
        refresher
            .first(&mut async |number| self.renew(number).await)
            .await
    }

    /// Gets each of the next, for ever.
    pub(crate) async fn run(mut self) {
        let random = rustls::crypto::ring::default_provider().secure_random;
        let dice = || {
            let mut bytes = [0; 4];
            // Without randomness the waits are as long as they can be.
            let _ = random.fill(&mut bytes);
            u32::from_ne_bytes(bytes)
        };
        let refresher = self.refresher;
        let attempt = async |number| {
            let renewed = self.renew(number).await;
            self.tell(&renewed);
            renewed
        };
        refresher.run(attempt, dice).await;
    }

    async fn renew(&mut self, number: u64) -> Result<Duration, RenewalError> {
        let begun = since_boot();
        let slot = self.pool.take(PATIENCE);
        let mut slot = slot.ok_or(RenewalError::NoMemory)?;
        let scratch = self.scratch.as_mut();
        let exchanged = self
            .client
            .exchange(self.request_token, scratch, slot.token_mut())
            .await;
        scratch.zeroize();
        let obtained = exchanged.map_err(RenewalError::Exchange)?;
        // It would take the place of one that is good.
        if since_boot().saturating_sub(begun) >= obtained.lifetime {
            return Err(RenewalError::Late);
        }
        let token = slot.finish(obtained.len);
        let token = token.map_err(|_: NotACredential| RenewalError::Token)?;
        let replaced = self.generations.replace(token, number);
        replaced.map_err(|_| RenewalError::Token)?;
        Ok(obtained.lifetime)
    }

    /// Says that tokens cannot be had, and when they can again.
    fn tell(&mut self, renewed: &Result<Duration, RenewalError>) {
        match renewed {
            Ok(lifetime) if self.has_failed => {
                stderr::line(format_args!(
                    "a new access token is there, good for {}",
                    whole_seconds(*lifetime)
                ));
                self.has_failed = false;
            }
            Ok(_) => {}
            Err(error) => {
                self.generations.count_failure();
                let left = self.refresher.figures().expires_in;
                let what_now = if left.is_zero() {
                    "no access token is left: requests are answered with 502 until one can be had"
                        .to_owned()
                } else {
                    format!(
                        "the present access token is good for {} more",
                        whole_seconds(left)
                    )
                };
                stderr::line(format_args!("{}; {what_now}", excerpt(&error.to_string())));
                self.has_failed = true;
            }
        }
    }
}

fn whole_seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}
