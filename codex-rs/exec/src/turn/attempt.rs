//! One attempt at an answer: from the request to the last event.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use codex_deadline::Deadline;
use reqwest::Response;

use crate::events::Event;
use crate::events::answer::{Answer, Done, Output};
use crate::events::stream::{EventStream, MAX_EVENT, TooLarge};
use crate::terminal::Screen;
use crate::transport::error::{Fault, root};
use crate::transport::redact::{Pieces, Redactor};
use crate::turn::Asker;
use crate::turn::times::Times;

/// How much white space may come before the first byte that tells what a body is.
const MAX_BLANK: usize = 64 << 10;

/// How the lines of an event stream begin, with the mark that some servers put before the first.
const EVENT_LINES: [&[u8]; 6] = [b"data", b"event", b"id", b"retry", b":", b"\xef\xbb\xbf"];

/// An attempt under way.
pub(super) struct Attempt<'a> {
    asker: &'a Asker<'a>,
    redactor: &'a Redactor,
    answer: &'a mut Answer,
    times: &'a mut Times,
    screen: &'a mut Screen,
    text: Pieces,
    reasoning: Pieces,
    /// Whether some of the answer is on the screen.
    has_shown: bool,
    /// Whether it was said that an event was skipped.
    has_said_skipped: bool,
}

/// What a body turns out to be.
enum Body {
    /// An event stream, and what was read of it.
    Events(Bytes),
    /// JSON, or a page: something else that is a whole.
    Whole(Bytes),
}

impl<'a> Attempt<'a> {
    pub(super) fn new(
        asker: &'a Asker<'a>,
        answer: &'a mut Answer,
        times: &'a mut Times,
        screen: &'a mut Screen,
    ) -> Self {
        Self {
            asker,
            redactor: asker.client.redactor(),
            answer,
            times,
            screen,
            text: Pieces::default(),
            reasoning: Pieces::default(),
            has_shown: false,
            has_said_skipped: false,
        }
    }

    pub(super) fn has_shown(&self) -> bool {
        self.has_shown
    }

    /// Sends the request and reads to the last event. Returns what may come after it.
    ///
    /// # Errors
    ///
    /// The [`Fault`]. Text that may have been the beginning of a secret is not shown yet.
    pub(super) async fn run(&mut self, body: Vec<u8>) -> Result<Option<Response>, Fault> {
        let mut response = self.asker.client.send(body).await?;
        let rest = match self.kind_of(&mut response).await? {
            Body::Events(first) => Some(self.read(response, first).await?),
            Body::Whole(first) => {
                self.read_whole(response, first).await?;
                None
            }
        };
        self.show_the_rest().await?;
        Ok(rest)
    }

    /// Shows what was held back: nothing more comes.
    pub(super) async fn show_the_rest(&mut self) -> Result<(), Fault> {
        let reasoning = self.reasoning.finish();
        if !reasoning.is_empty() {
            self.screen.reasoning(&reasoning);
        }
        let text = self.text.finish();
        self.screen.text(&text).await.map_err(Fault::Output)?;
        Ok(())
    }

    /// Looks at the first bytes: labels lie.
    async fn kind_of(&self, response: &mut Response) -> Result<Body, Fault> {
        let is_labelled = self.asker.client.is_labelled_events(response);
        // A brace tells by itself; the longest beginning of a line has five letters.
        let enough = if is_labelled { 1 } else { 5 };
        let mut deadline = self.deadline();
        let mut first = BytesMut::new();
        while first.trim_ascii_start().len() < enough && first.len() < MAX_BLANK {
            match self.piece(response, &mut deadline).await? {
                Some(piece) => first.extend_from_slice(&piece),
                None => break,
            }
        }
        let begin = first.trim_ascii_start();
        let is_events = if is_labelled {
            !begin.starts_with(b"{")
        } else {
            EVENT_LINES.iter().any(|line| begin.starts_with(line))
        };
        let first = first.freeze();
        Ok(if is_events {
            Body::Events(first)
        } else {
            Body::Whole(first)
        })
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.asker.config.provider.idle_timeout)
    }

    /// The next piece of a body, or `None` at its end.
    async fn piece(
        &self,
        response: &mut Response,
        deadline: &mut Deadline,
    ) -> Result<Option<Bytes>, Fault> {
        let timeout = self.asker.config.provider.idle_timeout;
        let piece = deadline.before(response.chunk()).await;
        piece.ok_or(Fault::Idle(timeout))?.map_err(|error| {
            let cause = root(&error.without_url());
            Fault::Cut(self.redactor.clean(&cause).into_owned())
        })
    }

    /// Reads events to the last one.
    async fn read(&mut self, mut response: Response, first: Bytes) -> Result<Response, Fault> {
        let mut events = EventStream::new();
        events.push(first);
        let mut deadline = self.deadline();
        loop {
            let mut is_heard = false;
            while let Some(data) = events.next().map_err(Fault::TooLarge)? {
                is_heard = true;
                if self.take_data(&data).await? {
                    return Ok(response);
                }
            }
            if is_heard {
                // From event to event, as in Codex: a comment is not a sign of an answer.
                deadline = self.deadline();
            }
            let piece = self.piece(&mut response, &mut deadline).await?;
            let ended = || Fault::Cut("the stream ended before response.completed".to_owned());
            events.push(piece.ok_or_else(ended)?);
        }
    }

    /// Reads a whole response: some gateways answer with one although a stream was asked for.
    async fn read_whole(&mut self, mut response: Response, first: Bytes) -> Result<(), Fault> {
        let mut body = BytesMut::from(first);
        let is_json = body.trim_ascii_start().starts_with(b"{");
        while is_json && let Some(piece) = self.piece(&mut response, &mut self.deadline()).await? {
            body.extend_from_slice(&piece);
            if body.len() > MAX_EVENT {
                return Err(Fault::TooLarge(TooLarge::Event));
            }
        }
        let body = String::from_utf8_lossy(&body);
        let event = Event::of_whole(&body).filter(|_| is_json);
        let Some((kind, event)) = event else {
            return Err(self.asker.client.not_an_answer(&response, &body));
        };
        let wire = format!("{{\"type\":\"{kind}\",\"response\":{body}}}");
        self.take(event, &wire).await.map(|_| ())
    }

    /// Whether that was the last event. What is none is skipped: other clients skip it too.
    async fn take_data(&mut self, data: &str) -> Result<bool, Fault> {
        // Other servers end a stream this way, or fill pauses; what counts is response.completed.
        if matches!(data.trim(), "[DONE]" | "") {
            return Ok(false);
        }
        match Event::parse(data) {
            Ok(event) => self.take(event, data).await,
            Err(error) => {
                if !std::mem::replace(&mut self.has_said_skipped, true) {
                    let error = error.redacted(self.redactor);
                    self.screen.note(&format!("{error}; skipped"));
                }
                Ok(false)
            }
        }
    }

    async fn take(&mut self, mut event: Event, wire: &str) -> Result<bool, Fault> {
        if self.screen.prints_wire_events() {
            let wire = self.redactor.clean_json(wire);
            self.screen.event(&wire).await.map_err(Fault::Output)?;
        }
        event.redact(self.redactor);
        for output in self.answer.take(event).map_err(Fault::Answer)? {
            if self.show(output).await.map_err(Fault::Output)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether that was the end.
    async fn show(&mut self, output: Output) -> std::io::Result<bool> {
        match output {
            Output::Text(text) => {
                self.times.first_text.get_or_insert_with(Instant::now);
                let text = self.text.push(self.redactor, &text);
                self.has_shown |= self.screen.text(&text).await?;
            }
            Output::Reasoning(text) => {
                if self.asker.config.summary.is_some() {
                    let text = self.reasoning.push(self.redactor, &text);
                    self.screen.reasoning(&text);
                }
            }
            Output::Note(text) => self.screen.note(&text),
            Output::Searches(search) => self.screen.search_begins(&search).await?,
            Output::Done(mut done) => {
                if let Done::Message(text) = &mut done {
                    self.redactor.clean_owned(text);
                }
                if let Done::Search(search) = &done
                    && let Some(what) = search.what()
                {
                    self.screen
                        .note(&format!("the server searched the web: {what}"));
                }
                self.has_shown |= self.screen.item(&done).await?;
            }
            Output::End => return Ok(true),
        }
        Ok(false)
    }
}
