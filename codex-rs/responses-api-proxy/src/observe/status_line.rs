//! What the line at the bottom of a terminal says while requests are in flight: `3 requests  142 tok/s  $1.24 so far`.

use std::time::{Duration, Instant};

use crate::observe::cost::Cost;
use crate::observe::observer::InFlight;
use crate::observe::summary;
use crate::observe::text_line::dollars;

/// How often it changes.
pub(crate) const EVERY: Duration = Duration::from_millis(500);

/// When it changed last, and how many deltas had passed by then.
#[derive(Debug, Default)]
pub(crate) struct StatusLine {
    at: Option<Instant>,
    deltas: u64,
}

/// What becomes of the line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It stays as it is.
    None,
    /// Nothing is in flight: there is none.
    Gone,
    Text(String),
}

impl StatusLine {
    /// `spent`: what was spent so far, in US dollars, if that is known.
    pub(crate) fn change(
        &mut self,
        in_flight: &InFlight,
        spent: Option<f64>,
        now: Instant,
    ) -> Change {
        let requests = in_flight.requests();
        if requests == 0 {
            return Change::Gone;
        }
        let since = self.at.map(|at| now.duration_since(at));
        if since.is_some_and(|since| since < EVERY) {
            return Change::None;
        }
        let deltas = in_flight.deltas();
        let fresh = deltas.saturating_sub(self.deltas);
        self.deltas = deltas;
        self.at = Some(now);
        #[expect(clippy::cast_precision_loss, reason = "shown without decimals")]
        let rate = since.map_or(0.0, |since| fresh as f64 / since.as_secs_f64());
        let requests = summary::requests(u64::try_from(requests).unwrap_or(u64::MAX));
        let spent = spent.map_or_else(String::new, |usd| {
            let is_estimated = false;
            format!("  {} so far", dollars(Cost { usd, is_estimated }))
        });
        Change::Text(format!("{requests}  {rate:.0} tok/s{spent}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::observe::observer::Observer;
    use crate::observe::record::OpenRecord;

    #[test]
    fn it_says_what_goes_on_and_goes_with_the_last_request() {
        let (observer, _queue) = Observer::for_test();
        let mut status = StatusLine::default();
        let now = Instant::now();
        let mut change = |spent, at| status.change(observer.in_flight(), spent, at);
        assert_eq!(change(None, now), Change::Gone);
        let record = OpenRecord::begin(&observer, None, None);
        let text = |text: &str| Change::Text(text.to_owned());
        assert_eq!(change(None, now), text("1 request  0 tok/s"));
        observer.count_deltas(7);
        assert_eq!(change(None, now), Change::None);
        let expected = text("1 request  14 tok/s  $1.50 so far");
        assert_eq!(change(Some(1.5), now + EVERY), expected);
        drop(record);
        assert_eq!(change(None, now + EVERY), Change::Gone);
    }
}
