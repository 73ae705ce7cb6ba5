//! What is shown, and what keys change of it. No I/O.

use std::collections::HashMap;
use std::time::Instant;

use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::sort::Sort;
use crate::status::Status;

/// How far a page key goes.
const PAGE: usize = 10;

/// What to do after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Stay,
    /// Draw all of the screen anew.
    Redraw,
    Leave,
}

/// What is shown.
#[derive(Debug, Default)]
pub(super) struct View {
    /// The last that was heard; its rates are those since the one before.
    pub(super) status: Status,
    /// Why nothing newer was.
    pub(super) fault: Option<String>,
    pub(super) sort: Sort,
    pub(super) is_reversed: bool,
    /// How many streams are above the first that is shown.
    pub(super) scroll: usize,
    before: Option<(Instant, HashMap<String, u64>)>,
}

impl View {
    /// A newer status, of this moment.
    pub(super) fn update(&mut self, mut status: Status, at: Instant) {
        self.fault = None;
        let streams = status.streams.get_or_insert_default();
        if let Some((before, tokens)) = &self.before {
            let since = at
                .saturating_duration_since(*before)
                .as_secs_f64()
                .max(1e-3);
            let mut by_caller: HashMap<&str, f64> = HashMap::new();
            for stream in &mut *streams {
                let had = tokens.get(&stream.id).copied().unwrap_or(0);
                #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
                let fresh = stream.tokens.saturating_sub(had) as f64;
                stream.tokens_per_second = fresh / since;
                *by_caller.entry(&stream.caller).or_default() += stream.tokens_per_second;
            }
            for caller in &mut status.callers {
                caller.tokens_per_second = by_caller.get(&*caller.name).copied().unwrap_or(0.0);
            }
        }
        let tokens = streams
            .iter()
            .map(|stream| (stream.id.clone(), stream.tokens));
        self.before = Some((at, tokens.collect()));
        self.status = status;
        self.order();
    }

    /// Nothing was heard.
    pub(super) fn fault(&mut self, fault: String) {
        self.fault = Some(fault);
    }

    /// Of all streams together.
    pub(super) fn tokens_per_second(&self) -> f64 {
        let streams = self.status.streams.iter().flatten();
        streams.map(|stream| stream.tokens_per_second).sum()
    }

    /// A key, or a new size.
    pub(super) fn on_event(&mut self, event: &Event) -> After {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => self.on_key(*key),
            _ => After::Stay,
        }
    }

    fn on_key(&mut self, key: KeyEvent) -> After {
        let has_control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('c') if has_control => return After::Leave,
            KeyCode::Char('l') if has_control => return After::Redraw,
            KeyCode::Char(_) if has_control => {}
            KeyCode::Char('q') | KeyCode::Esc => return After::Leave,
            KeyCode::Char('r') => self.is_reversed = !self.is_reversed,
            KeyCode::Char(letter) => self.sort = Sort::of_key(letter).unwrap_or(self.sort),
            KeyCode::Up => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down => self.scroll = self.scroll.saturating_add(1),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(PAGE),
            KeyCode::PageDown => self.scroll = self.scroll.saturating_add(PAGE),
            KeyCode::Home => self.scroll = 0,
            KeyCode::End => self.scroll = usize::MAX,
            _ => {}
        }
        self.order();
        After::Stay
    }

    fn order(&mut self) {
        let (sort, is_reversed) = (self.sort, self.is_reversed);
        if let Some(streams) = &mut self.status.streams {
            streams.sort_by(|a, b| {
                let order = sort.compare(a, b);
                if is_reversed { order.reverse() } else { order }
            });
        }
    }
}
