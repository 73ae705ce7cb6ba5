//! One answer: send, retry while nothing has arrived, show what arrives.

mod times;

use std::time::{Duration, Instant};

use codex_deadline::Deadline;
use reqwest::Response;

use crate::config::Config;
use crate::conversation::Conversation;
use crate::events::Event;
use crate::events::answer::{Answer, Output};
use crate::events::stream::EventStream;
use crate::terminal::Screen;
use crate::transport::Client;
use crate::transport::error::{Fault, root, seconds};
use crate::transport::redact::Pieces;
use crate::transport::retry;
use crate::turn::times::Times;

/// How long a server may take to end a stream that is complete.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(200);

/// What a turn needs and does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) client: &'a Client,
    pub(crate) config: &'a Config,
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
        let (mut failed, mut cut) = (0, 0);
        screen.wait_for(&self.config.model);
        let complete = loop {
            let mut has_event = false;
            let mut pieces = Pieces::default();
            let outcome = match self.client.send(body.clone()).await {
                Ok(response) => {
                    let text = &mut pieces;
                    self.read(response, answer, text, &mut has_event, &mut times, screen)
                        .await
                }
                Err(fault) => Err(fault),
            };
            screen.text(&pieces.finish()).await.map_err(Fault::Output)?;
            let fault = match outcome {
                Ok(response) => break response,
                Err(fault) => fault,
            };
            let (attempt, most) = if fault.is_cut() && !has_event {
                (&mut cut, provider.stream_max_retries)
            } else if fault.is_passing() {
                (&mut failed, provider.request_max_retries)
            } else {
                return Err(fault);
            };
            // Asked again before the time it named, a server only says the same again.
            if *attempt >= most || fault.retry_after() > Some(retry::LONGEST_ASKED) {
                return Err(fault);
            }
            *attempt += 1;
            let wait = retry::wait(*attempt, fault.retry_after());
            screen.note(&format!(
                "{fault}; again in {} ({attempt} of {most})",
                seconds(wait)
            ));
            screen.wait_for(&self.config.model);
            tokio::time::sleep(wait).await;
        };
        screen.end_line().await.map_err(Fault::Output)?;
        screen.note(&times.summary(answer, &provider.id));
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, rest(complete)).await;
        Ok(())
    }

    /// Reads to the last event, and returns what may come after it.
    async fn read(
        &self,
        mut response: Response,
        answer: &mut Answer,
        pieces: &mut Pieces,
        has_event: &mut bool,
        times: &mut Times,
        screen: &mut Screen,
    ) -> Result<Response, Fault> {
        let timeout = self.config.provider.idle_timeout;
        let mut events = EventStream::new();
        let mut deadline = Deadline::after(timeout);
        loop {
            let mut is_heard = false;
            while let Some(data) = events.next().map_err(Fault::TooLarge)? {
                (*has_event, is_heard) = (true, true);
                if self.take(&data, answer, pieces, times, screen).await? {
                    return Ok(response);
                }
            }
            if is_heard {
                // From event to event, as in Codex: a comment is not a sign of an answer.
                deadline = Deadline::after(timeout);
            }
            let piece = deadline
                .before(response.chunk())
                .await
                .ok_or(Fault::Idle(timeout))?
                .map_err(|error| Fault::Cut(root(&error.without_url())))?;
            let ended = || Fault::Cut("the stream ended before response.completed".to_owned());
            events.push(piece.ok_or_else(ended)?);
        }
    }

    /// Whether that was the last event.
    async fn take(
        &self,
        data: &str,
        answer: &mut Answer,
        pieces: &mut Pieces,
        times: &mut Times,
        screen: &mut Screen,
    ) -> Result<bool, Fault> {
        // Other servers end a stream this way; what counts is response.completed.
        if data == "[DONE]" {
            return Ok(false);
        }
        let redactor = self.client.redactor();
        let data = redactor.clean(data);
        let event = Event::parse(&data).map_err(Fault::Event)?;
        screen.event(&data).await.map_err(Fault::Output)?;
        for output in answer.take(event).map_err(Fault::Answer)? {
            match output {
                Output::Text(text) => {
                    times.first_text.get_or_insert_with(Instant::now);
                    let text = pieces.push(redactor, &text);
                    screen.text(&text).await.map_err(Fault::Output)?;
                }
                Output::Reasoning(text) if self.config.summary.is_some() => screen.reasoning(&text),
                Output::Reasoning(_) => {}
                Output::Note(text) => screen.note(&text),
                Output::End => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Reads to the end of a body, so that its connection can be used again.
async fn rest(mut response: Response) {
    while let Ok(Some(_)) = response.chunk().await {}
}
