//! The line of a request for a person who reads along.
//!
//! `14:03:07 alice  gpt-5.6  200  ttft 0.41s  3.2s  10.1k (8.2k cached) -> 312 tok  $0.021`

use std::fmt::Write as _;
use std::time::Duration;

use codex_control::count;

use crate::inspect::answer::facts::TokenCounts;
use crate::observe::cost::Cost;
use crate::observe::finished::{CallerFacts, Finished};
use crate::observe::outcome::Outcome;
use crate::observe::printable::printable_within;
use crate::observe::timestamp::TimeOfDay;
use crate::observe::user_names::UserNames;

/// How much of a model's name is shown, in bytes.
const MODEL_SHOWN: usize = 40;

/// The line, without its end.
pub(crate) fn text_line(
    finished: &Finished,
    cost: Option<Cost>,
    names: &UserNames,
    time_of_day: TimeOfDay,
) -> String {
    let answer = finished.answer.as_ref();
    let model = answer
        .and_then(|answer| answer.model.as_deref())
        .or(finished.request_model.as_deref());
    let model = model.map_or("-".into(), |model| printable_within(model, MODEL_SHOWN));
    let mut line = format!(
        "{} {}  {model}  ",
        time_of_day.of(finished.at),
        caller_name(&finished.caller, names),
    );
    match finished.status {
        Some(status) => {
            let _ = write!(line, "{status}");
        }
        None => line.push('-'),
    }
    if !matches!(finished.outcome, Outcome::Complete | Outcome::UpstreamError) {
        let _ = write!(line, "  {}", finished.outcome);
    }
    if let Some(code) = finished.outcome.code() {
        let _ = write!(
            line,
            "  {code}: {}",
            finished.outcome.cause().unwrap_or_default()
        );
    }
    if let Some(error) = answer.and_then(|answer| answer.error_type.as_deref()) {
        let _ = write!(line, "  {}", printable_within(error, MODEL_SHOWN));
    }
    if let Some(first) = finished.first_output {
        let _ = write!(line, "  ttft {}", seconds(first));
    }
    let _ = write!(line, "  {}", seconds(finished.duration));
    if let Some(usage) = answer.and_then(|answer| answer.usage) {
        let _ = write!(line, "  {} tok", tokens(&usage));
    }
    if let Some(cost) = cost {
        let _ = write!(line, "  {}", dollars(cost));
    }
    line
}

/// `alice`, `alice/ci`, `1001`, or `-` of nobody that is known.
pub(crate) fn caller_name(caller: &CallerFacts, names: &UserNames) -> String {
    let user = caller.uid.map(|uid| {
        names
            .name(uid)
            .map_or_else(|| uid.to_string(), str::to_owned)
    });
    match (user, caller.token.as_deref()) {
        (Some(user), Some(token)) => format!("{user}/{token}"),
        (Some(user), None) => user,
        (None, Some(token)) => token.to_owned(),
        (None, None) => "-".to_owned(),
    }
}

fn tokens(usage: &TokenCounts) -> String {
    let cached = if usage.cached > 0 {
        format!(" ({} cached)", count(usage.cached))
    } else {
        String::new()
    };
    format!("{}{cached} -> {}", count(usage.input), count(usage.output))
}

/// `$0.021`, `$1.24`; with a `~` if it is an estimate.
pub(crate) fn dollars(cost: Cost) -> String {
    let about = if cost.is_estimated { "~" } else { "" };
    format!("{about}{}", codex_control::dollars(cost.usd))
}

/// `0.41s`, `3.2s`, `2m05s`.
fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{seconds:.2}s"),
        seconds if seconds < 60.0 => format!("{seconds:.1}s"),
        _ => format!("{}m{:02}s", time.as_secs() / 60, time.as_secs() % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::time::SystemTime;

    fn line(finished: &Finished, cost: Option<f64>) -> String {
        let names = UserNames::parse("alice:x:1001:");
        let cost = cost.map(|usd| Cost {
            usd,
            is_estimated: false,
        });
        text_line(finished, cost, &names, TimeOfDay::utc())
    }

    #[test]
    fn a_line_says_who_what_how_long_and_how_much() {
        assert_eq!(
            line(&Finished::for_test(), Some(0.0213)),
            "14:03:07 alice/ci  gpt-5.6  200  ttft 0.41s  3.2s  10.1k (8.2k cached) -> 312 tok  $0.021"
        );
    }

    #[test]
    fn refusals_and_faults_say_the_code_and_the_sentence() {
        let failed = Finished {
            outcome: Outcome::UpstreamFailed {
                code: "upstream_dns",
                cause: "no address".to_owned(),
            },
            caller: CallerFacts::default(),
            status: Some(502),
            first_output: None,
            answer: None,
            request_model: None,
            ..Finished::for_test()
        };
        assert_eq!(
            line(&failed, None),
            "14:03:07 -  -  502  upstream_failed  upstream_dns: no address  3.2s"
        );
        let left = Finished {
            outcome: Outcome::CallerLeft,
            status: None,
            duration: Duration::from_secs(125),
            answer: None,
            first_output: None,
            at: SystemTime::UNIX_EPOCH,
            ..Finished::for_test()
        };
        assert_eq!(
            line(&left, None),
            "00:00:00 alice/ci  gpt-5.6  -  caller_left  2m05s"
        );
    }

    #[test]
    fn numbers_are_short() {
        for (number, short) in [
            (999, "999"),
            (1_000, "1.0k"),
            (999_949, "999.9k"),
            (999_950, "1.0M"),
            (12_345_678, "12.3M"),
        ] {
            assert_eq!(count(number), short);
        }
        for (usd, is_estimated, short) in [
            (0.0, false, "$0.000"),
            (0.000_012, false, "$0.000012"),
            (0.0213, true, "~$0.021"),
            (12.345, false, "$12.35"),
        ] {
            assert_eq!(dollars(Cost { usd, is_estimated }), short);
        }
    }
}
