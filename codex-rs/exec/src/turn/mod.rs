//! One answer: send, retry while nothing has been shown, show what arrives.

mod attempt;
mod times;

use std::time::Duration;

use reqwest::Response;

use crate::config::Config;
use crate::conversation::Conversation;
use crate::events::answer::Answer;
use crate::terminal::Screen;
use crate::transport::Client;
use crate::transport::error::Fault;
use crate::transport::retry::Attempts;
use crate::turn::attempt::Attempt;
use crate::turn::times::Times;

/// How long a server may take to end a stream that is complete, where its connection is used again.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);
/// And where it is not: who leaves earlier is taken for one who gave up, in logs on the way.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(50);

/// What a turn needs and does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a Config,
    /// Whether there may be another turn, on the same connection.
    pub(crate) goes_on: bool,
}

impl Asker<'_> {
    /// Asks for the next answer of a conversation and shows it as it comes. What has come of it
    /// is in `answer` at any time, also when this future is dropped.
    ///
    /// # Errors
    ///
    /// The [`Fault`] of the last attempt.
    pub(crate) async fn answer(
        &self,
        conversation: &Conversation,
        answer: &mut Answer,
        screen: &mut Screen,
    ) -> Result<(), Fault> {
        let body = conversation.request(self.config).map_err(Fault::Request)?;
        let provider = &self.config.provider;
        let mut times = Times::start();
        let mut attempts = Attempts::new(provider.request_max_retries, provider.stream_max_retries);
        screen.wait_for(&self.config.model);
        let complete = loop {
            *answer = Answer::default();
            let mut attempt = Attempt::new(self, answer, &mut times, screen);
            let fault = match attempt.run(body.clone()).await {
                Ok(rest) => break rest,
                Err(fault) => fault,
            };
            let next = if attempt.has_shown() {
                // What is on the screen cannot be taken back.
                None
            } else {
                attempts.next(&fault)
            };
            let Some(next) = next else {
                attempt.show_the_rest().await?;
                return Err(fault);
            };
            screen.retry(&fault, next).await.map_err(Fault::Output)?;
            screen.wait_for(&self.config.model);
            tokio::time::sleep(next.wait).await;
        };
        screen.end_answer().await.map_err(Fault::Output)?;
        for (number, source) in (1..).zip(answer.sources()) {
            screen.note(&format!("[{number}] {source}"));
        }
        screen.note(&times.summary(answer, &provider.id));
        if let Some(complete) = complete {
            let limit = if self.goes_on {
                CLOSE_TIMEOUT
            } else {
                LEAVE_TIMEOUT
            };
            let _ = tokio::time::timeout(limit, read_on(complete)).await;
        }
        Ok(())
    }
}

/// Reads to the end of a body.
async fn read_on(mut response: Response) {
    while let Ok(Some(_)) = response.chunk().await {}
}
