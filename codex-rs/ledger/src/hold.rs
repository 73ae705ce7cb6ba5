//! What a request holds: whether it fits, and what it may grow to.

use std::sync::Arc;

use crate::account::{Account, moment, percent_of};
use crate::amounts::Amounts;
use crate::answer::{Exceeded, Over, Which};
use crate::clock::Now;
use crate::lease::Room;
use crate::limit::{Limit, Measure};

/// How careful admission is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Estimates are what is to be expected. One that is too high does not keep out an account that holds nothing
    /// and has spent less than 90 % of a limit; an answer that costs 5 % more than there is is ended.
    Expected,
    /// Estimates are the worst case, and nothing is sent that may cost more than what is left.
    Strict,
}

/// Who is charged: the caller's own account, or all callers together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The name of the account.
    pub account: Arc<str>,
    /// How much it may spend.
    pub limits: Arc<[Limit]>,
    /// How many of its requests may be under way; `None`: any number.
    pub concurrent: Option<u32>,
}

/// Below so many percent of a limit, [`Mode::Expected`] does not let an estimate alone keep a request out.
const CERTAINLY_LEFT: u64 = 90;

/// How many percent of a limit answers under way may come to.
const MOST_UNDER_WAY: u64 = 105;

/// What is held of `account` for a request that is estimated to cost `estimate`. That is less than the estimate
/// where only what is left can be held: nobody else may have that until the request is settled. `is_last`: the request
/// does not wait for what other hosts may have left.
///
/// # Errors
/// [`Exceeded`] if what is left of a limit is not enough.
pub(crate) fn admit(
    account: &Account,
    subject: &Subject,
    estimate: Amounts,
    mode: Mode,
    now: Now,
    is_last: bool,
) -> Result<Amounts, Exceeded> {
    if let Some(most) = subject.concurrent
        && account.holds >= most
    {
        return Err(refused(subject, Which::Concurrent { most }));
    }
    let mut amounts = estimate;
    for limit in subject.limits.iter() {
        let wanted = limit.measure.of(&estimate);
        let room = account.room_for(limit, wanted, now);
        match room {
            Room::Enough => continue,
            Room::StoreAway => return Err(refused(subject, Which::StoreAway { limit: *limit })),
            Room::NotLeased if !is_last => {
                let what = Which::NotLeased { limit: *limit };
                return Err(Exceeded {
                    wanted,
                    ..refused(subject, what)
                });
            }
            Room::NotLeased | Room::Spent => {}
        }
        let spent = account.spent(limit);
        let alone = mode == Mode::Expected
            && account.holds == 0
            && spent < percent_of(limit.most, CERTAINLY_LEFT);
        if !alone {
            return Err(exceeded(account, subject, limit, wanted, now));
        }
        at_most(
            &mut amounts,
            limit.measure,
            limit.most.saturating_sub(spent),
        );
    }
    Ok(amounts)
}

/// Whether something is left of each limit.
///
/// # Errors
/// [`Exceeded`] if one is spent, or held by requests under way.
pub(crate) fn anything_left(
    account: &Account,
    subject: &Subject,
    now: Now,
) -> Result<(), Exceeded> {
    for limit in subject.limits.iter() {
        match account.room_for(limit, 1, now) {
            // What is not leased yet may be when the request is whole.
            Room::Enough | Room::NotLeased => {}
            Room::StoreAway => return Err(refused(subject, Which::StoreAway { limit: *limit })),
            Room::Spent => return Err(exceeded(account, subject, limit, 0, now)),
        }
    }
    Ok(())
}

/// Whether an answer that will cost at least `running` may go on, while its account holds `own` for it.
///
/// # Errors
/// [`Over`] if it may not.
pub(crate) fn may_go_on(
    account: &Account,
    subject: &Subject,
    own: Amounts,
    running: Amounts,
) -> Result<(), Over> {
    for limit in subject.limits.iter() {
        // Another one's estimate may be exceeded by this answer, but not by an estimate of this one's own.
        let others = account
            .held(limit.measure)
            .saturating_sub(limit.measure.of(&own));
        let held = others.saturating_add(limit.measure.of(&running));
        let spent = account.spent(limit);
        if spent.saturating_add(held) > percent_of(limit.most, MOST_UNDER_WAY) {
            return Err(Over {
                account: subject.account.clone(),
                limit: *limit,
                spent,
                held,
            });
        }
    }
    Ok(())
}

fn exceeded(
    account: &Account,
    subject: &Subject,
    limit: &Limit,
    wanted: u64,
    now: Now,
) -> Exceeded {
    let spent = account.spent(limit);
    let held = account
        .held(limit.measure)
        .saturating_add(account.leased_by_others(limit));
    let needed = spent
        .saturating_add(held)
        .saturating_add(wanted.max(1))
        .saturating_sub(limit.most);
    let resets_in = account.resets_in(limit, needed, now);
    Exceeded {
        account: subject.account.clone(),
        what: Which::Limit {
            limit: *limit,
            spent,
            held,
            resets_at: moment(now, resets_in),
            resets_in,
        },
        wanted,
    }
}

pub(crate) fn refused(subject: &Subject, what: Which) -> Exceeded {
    Exceeded {
        account: subject.account.clone(),
        what,
        wanted: 0,
    }
}

fn at_most(amounts: &mut Amounts, measure: Measure, most: u64) {
    let amount = match measure {
        Measure::Requests => &mut amounts.requests,
        Measure::Tokens => &mut amounts.tokens,
        Measure::Usd => &mut amounts.nano_usd,
    };
    *amount = (*amount).min(most);
}
