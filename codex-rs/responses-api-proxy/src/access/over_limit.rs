//! What a caller is told whose limit is spent: whose it is, how much of it is spent, and when it is renewed.

use std::borrow::Cow;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use codex_ledger::{Crossing, Exceeded, Limit, Measure, Mode, Which, Window};
use time::OffsetDateTime;

use crate::refusal::{Reason, Refusal};

/// What is renewed within this is worth waiting for.
const SOON: Duration = Duration::from_secs(60);

/// How accounts are called ([`codex_policy::Account::key`]): that of all callers together, that of those whom no other
/// table names, and those of groups.
const TOTAL: &str = "total";
const EVERYONE: &str = "everyone";
const GROUP: &str = "group:";

/// When to try again where only what others have reserved is in the way, in seconds.
const OTHERS_UNDER_WAY: u32 = 5;

/// When to try again where too many requests are in flight, in seconds.
const ONE_OF_THEM: u32 = 1;

/// The refusal of a request of `who`.
pub(crate) fn over_limit(exceeded: &Exceeded, who: &str, mode: Mode) -> Refusal {
    let whose = whose(&exceeded.account, who);
    match &exceeded.what {
        Which::Concurrent { most } => Refusal::because(
            Reason::RateLimited,
            format!(
                "{whose} may have {} in flight and has; the limit is in the proxy's policy",
                amount(Measure::Requests, (*most).into())
            ),
        )
        .after(ONE_OF_THEM),
        Which::Limit {
            limit,
            spent,
            held,
            resets_at,
            resets_in,
        } => {
            let never_fits = mode == Mode::Strict && exceeded.wanted > limit.most;
            let message = told(&whose, limit, *spent, *held, exceeded.wanted, *resets_at);
            if let Some(wait) = resets_in
                && *wait <= SOON
                && !never_fits
            {
                let seconds = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX);
                return Refusal::because(Reason::RateLimited, message)
                    .after(seconds.saturating_add(1));
            }
            if spent.saturating_add(exceeded.wanted) <= limit.most && *spent < limit.most {
                return Refusal::because(Reason::RateLimited, message).after(OTHERS_UNDER_WAY);
            }
            Refusal::because(Reason::BudgetExceeded, message)
        }
        Which::NotLeased { limit } => Refusal::because(
            Reason::RateLimited,
            format!(
                "the limit of {} {} is shared with other hosts, and they have what is left of it; try again",
                amount(limit.measure, limit.most),
                per_time(limit.window)
            ),
        )
        .after(ONE_OF_THEM),
        Which::StoreAway { limit } => Refusal::because(
            Reason::RateLimited,
            format!(
                "the limit of {} {} is shared with other hosts, and what {whose} may spend of it cannot be asked for \
                 now, because the server of the proxy's --ledger is away; try again, or ask whoever runs the proxy",
                amount(limit.measure, limit.most),
                per_time(limit.window)
            ),
        )
        .after(OTHERS_UNDER_WAY),
        Which::Unreadable => Refusal::because(
            Reason::BudgetExceeded,
            format!("what {whose} has spent cannot be read; ask whoever runs the proxy"),
        ),
        Which::TooManyAccounts => Refusal::because(
            Reason::BudgetExceeded,
            "there are more callers than this proxy keeps accounts of; ask whoever runs it"
                .to_owned(),
        ),
    }
}

/// The line for an operator of whom a limit is nearly spent.
pub(crate) fn nearly_spent(crossing: &Crossing, who: &str) -> String {
    let limit = &crossing.limit;
    let resets = match (crossing.resets_at, limit.window) {
        (Some(at), window) => format!(" (resets {})", moment(at, window)),
        (None, _) => String::new(),
    };
    format!(
        "budget: {} % spent: {} has spent {} {}{resets}",
        crossing.percent,
        whose(&crossing.account, who),
        part(limit, crossing.spent),
        span(limit.window)
    )
}

/// Whose limit it is, for somebody to whom `who` is the caller.
fn whose<'a>(account: &'a str, who: &'a str) -> Cow<'a, str> {
    match account {
        TOTAL => "all callers together".into(),
        EVERYONE => "everyone".into(),
        // Not where each member has an account of its own.
        _ if !account.contains('/') && account.starts_with(GROUP) => {
            account.replacen(GROUP, "the group ", 1).into()
        }
        _ => who.into(),
    }
}

fn told(
    whose: &str,
    limit: &Limit,
    spent: u64,
    held: u64,
    wanted: u64,
    resets_at: Option<SystemTime>,
) -> String {
    let of = |value| amount(limit.measure, value);
    let mut told = format!(
        "{whose} has spent {} {}",
        part(limit, spent),
        span(limit.window)
    );
    if spent < limit.most {
        if held > 0 {
            told += &format!(", {} more may be spent by requests under way", of(held));
        }
        told += &format!(", and this one may cost {}", of(wanted));
    }
    match (resets_at, limit.window) {
        (_, Window::Process) => told += " (resets when the proxy starts anew)",
        (Some(at), window) => told += &format!(" (resets {})", moment(at, window)),
        (None, _) => {}
    }
    told + "; the limit is in the proxy's policy"
}

/// What is spent of a limit: `$1.50 of $20.00`, `1 of 60 requests`.
fn part(limit: &Limit, spent: u64) -> String {
    let most = amount(limit.measure, limit.most);
    match limit.measure {
        Measure::Usd => format!("{} of {most}", amount(limit.measure, spent)),
        Measure::Requests | Measure::Tokens => format!("{} of {most}", grouped(spent)),
    }
}

/// An amount with its unit. Parts of a cent are shown where there is no whole one.
pub(crate) fn amount(measure: Measure, value: u64) -> String {
    match measure {
        Measure::Requests if value == 1 => "1 request".to_owned(),
        Measure::Requests => format!("{} requests", grouped(value)),
        Measure::Tokens if value == 1 => "1 token".to_owned(),
        Measure::Tokens => format!("{} tokens", grouped(value)),
        Measure::Usd => {
            let dollars = grouped(value / 1_000_000_000);
            let nano = value % 1_000_000_000;
            if value == 0 || value >= 10_000_000 {
                format!("${dollars}.{:02}", nano / 10_000_000)
            } else {
                format!("${dollars}.{:06}", nano / 1_000)
            }
        }
    }
}

/// With a comma after each thousand.
fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn span(window: Window) -> String {
    match window {
        Window::Minute => "for this minute".to_owned(),
        Window::Hour => "for this hour".to_owned(),
        Window::Day => "for today".to_owned(),
        Window::Month => "for this month".to_owned(),
        Window::Rolling(length) => format!("in the last {}", rolling(length)),
        Window::Process => "since the proxy started".to_owned(),
    }
}

/// Such as `per day`, or `in the last 24h`.
fn per_time(window: Window) -> String {
    match window {
        Window::Rolling(_) => span(window),
        _ => format!("per {}", per(window)),
    }
}

/// A window as it is written in a policy.
pub(crate) fn per(window: Window) -> String {
    match window {
        Window::Minute => "minute".to_owned(),
        Window::Hour => "hour".to_owned(),
        Window::Day => "day".to_owned(),
        Window::Month => "month".to_owned(),
        Window::Process => "process".to_owned(),
        Window::Rolling(length) => rolling(length),
    }
}

/// What is limited, as it is written in a policy.
pub(crate) fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::Requests => "requests",
        Measure::Tokens => "tokens",
        Measure::Usd => "usd",
    }
}

/// As it is written in a policy, in the largest unit of which it is several.
fn rolling(length: Duration) -> String {
    let seconds = length.as_secs();
    for (unit, name) in [(86_400, "d"), (3_600, "h"), (60, "m")] {
        if seconds.is_multiple_of(unit) && seconds > unit {
            return format!("{}{name}", seconds / unit);
        }
    }
    format!("{seconds}s")
}

fn moment(at: SystemTime, window: Window) -> String {
    // Beyond the year 9999 there is no name for it.
    let unix = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let at = i64::try_from(unix).map(OffsetDateTime::from_unix_timestamp);
    let Ok(Ok(at)) = at else {
        return "never".to_owned();
    };
    let time = format!("{:02}:{:02}", at.hour(), at.minute());
    match window {
        Window::Minute => format!("{time}:{:02} UTC", at.second()),
        Window::Hour | Window::Day => format!("{time} UTC"),
        _ => format!("{} {time} UTC", at.date()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_no_calendar_has_is_never() {
        let far = UNIX_EPOCH + Duration::from_secs(1 << 50);
        assert_eq!(moment(far, Window::Day), "never");
        assert_eq!(moment(UNIX_EPOCH, Window::Day), "00:00 UTC");
    }

    #[test]
    fn amounts_have_units_and_no_cent_is_lost_in_rounding_to_nothing() {
        for (measure, value, text) in [
            (Measure::Requests, 60, "60 requests"),
            (Measure::Requests, 1, "1 request"),
            (Measure::Tokens, 5_000_000, "5,000,000 tokens"),
            (Measure::Tokens, 999, "999 tokens"),
            (Measure::Usd, 0, "$0.00"),
            (Measure::Usd, 20_000_000_000, "$20.00"),
            (Measure::Usd, 1_234_567_890_000, "$1,234.56"),
            (Measure::Usd, 1_999_000, "$0.001999"),
        ] {
            assert_eq!(amount(measure, value), text);
        }
    }

    fn refused(most: u64, spent: u64, held: u64, wanted: u64, resets_in: u64) -> Refusal {
        let exceeded = Exceeded {
            account: "user:1001".into(),
            what: Which::Limit {
                limit: Limit {
                    measure: Measure::Usd,
                    most: most * 1_000_000_000,
                    window: Window::Day,
                },
                spent: spent * 1_000_000_000,
                held: held * 1_000_000_000,
                resets_at: Some(UNIX_EPOCH + Duration::from_secs(86_400)),
                resets_in: Some(Duration::from_secs(resets_in)),
            },
            wanted: wanted * 1_000_000_000,
        };
        over_limit(&exceeded, "alice", Mode::Strict)
    }

    #[test]
    fn it_is_said_whose_limit_it_is() {
        for (account, whose_limit) in [
            ("total", "all callers together"),
            ("everyone", "everyone"),
            ("group:agents", "the group agents"),
            ("group:agents/user:1001", "alice"),
            ("user:1001", "alice"),
        ] {
            assert_eq!(whose(account, "alice"), whose_limit);
        }
    }

    #[test]
    fn what_waiting_does_not_cure_is_not_retried() {
        for (refusal, code) in [
            (refused(20, 20, 0, 1, 7_200), Reason::BudgetExceeded),
            (refused(20, 20, 0, 1, 60), Reason::RateLimited),
            (refused(20, 18, 0, 3, 7_200), Reason::BudgetExceeded),
            (refused(20, 18, 2, 1, 7_200), Reason::RateLimited),
            // Not even of a new window.
            (refused(20, 0, 0, 21, 60), Reason::BudgetExceeded),
        ] {
            assert_eq!(refusal.reason(), code, "{refusal:?}");
        }
    }

    #[test]
    fn the_message_says_which_limit_how_much_whose_and_until_when() {
        let told = |refusal: Refusal| refusal.outcome().cause().map(str::to_owned);
        assert_eq!(
            told(refused(20, 20, 0, 1, 7_200)).as_deref(),
            Some(
                "alice has spent $20.00 of $20.00 for today (resets 00:00 UTC); the limit is in the proxy's policy"
            )
        );
        assert_eq!(
            told(refused(20, 18, 1, 3, 7_200)).as_deref(),
            Some(
                "alice has spent $18.00 of $20.00 for today, $1.00 more may be spent by requests under way, and this \
                 one may cost $3.00 (resets 00:00 UTC); the limit is in the proxy's policy"
            )
        );
    }
}
