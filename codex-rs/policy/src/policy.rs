//! Who is covered by which rules.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use codex_ledger::{Limit, Measure};
use codex_pricing::Overlay;

use crate::account::Account;
use crate::denied::{Denied, quoted};
use crate::error::PolicyError;
use crate::model_glob::ModelGlob;
use crate::rules::Rules;
use crate::tables::{self, Names};

/// What each caller may ask for and spend, and what all may spend together.
#[derive(Debug)]
pub struct Policy {
    pub(crate) tokens: BTreeMap<String, Table>,
    pub(crate) users: BTreeMap<u32, Table>,
    /// In the order of the file: the first that a caller is in covers it.
    pub(crate) groups: Vec<Group>,
    pub(crate) everyone: Option<Table>,
    pub(crate) total: Total,
    pub(crate) prices: Option<Overlay>,
}

/// Rules, and the account of those whom they cover.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) account: Account,
    /// Whether each caller has an account of its own.
    pub(crate) each_caller: bool,
    pub(crate) rules: Arc<Rules>,
}

#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) members: HashSet<u32>,
    pub(crate) table: Table,
}

/// What all callers together may spend.
#[derive(Debug)]
pub struct Total {
    pub(crate) account: Account,
    pub(crate) limits: Arc<[Limit]>,
    pub(crate) concurrent: Option<u32>,
}

impl Default for Total {
    fn default() -> Self {
        Self {
            account: Account::total(),
            limits: Arc::new([]),
            concurrent: None,
        }
    }
}

impl Total {
    /// The account that every request counts towards.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// How much may be spent, and in which time.
    #[must_use]
    pub fn limits(&self) -> &Arc<[Limit]> {
        &self.limits
    }

    /// How many requests may be under way at the same time.
    #[must_use]
    pub fn concurrent(&self) -> Option<u32> {
        self.concurrent
    }
}

/// What applies to one caller, besides [`Policy::total`].
#[derive(Clone, Debug)]
pub struct Applied {
    /// What its requests count towards.
    pub account: Account,
    /// What they may ask for.
    pub rules: Arc<Rules>,
}

impl Policy {
    /// Reads a policy file. Users and groups are looked up once, here.
    ///
    /// # Errors
    ///
    /// The first [`PolicyError`], with its line and key.
    pub fn parse(text: &str, names: &dyn Names) -> Result<Self, PolicyError> {
        tables::parse(text, names)
    }

    /// The policy that has one table, for everyone. Without `models`, any model is allowed. Of limits of the same
    /// measure and window, the smallest applies.
    #[must_use]
    pub fn of_everyone(models: Vec<ModelGlob>, mut limits: Vec<Limit>) -> Self {
        limits.sort_by_key(|limit| (limit.measure, limit.window, limit.most));
        limits.dedup_by_key(|limit| (limit.measure, limit.window));
        let rules = Rules {
            models: (!models.is_empty()).then_some(models),
            limits: limits.into(),
            ..Rules::default()
        };
        Self {
            everyone: Some(Table::of_everyone(rules)),
            ..Self::of_nobody()
        }
    }

    /// A policy without tables.
    pub(crate) fn of_nobody() -> Self {
        Self {
            tokens: BTreeMap::new(),
            users: BTreeMap::new(),
            groups: Vec::new(),
            everyone: None,
            total: Total::default(),
            prices: None,
        }
    }

    /// The rules for a caller with this user ID and the name of this client token, as far as they are known.
    /// Exactly one table applies: that of the token, of the user, of the first group in the file that the user
    /// is in, or of everyone, in this order.
    ///
    /// # Errors
    ///
    /// [`Denied`] with [`DeniedCode::Caller`](crate::DeniedCode::Caller) if no table covers the caller.
    pub fn rules_for(&self, uid: Option<u32>, token: Option<&str>) -> Result<Applied, Denied> {
        let of_token = || self.tokens.get(token?);
        let of_user = || self.users.get(&uid?);
        let of_group = || {
            let uid = uid?;
            let mut groups = self.groups.iter();
            let group = groups.find(|group| group.members.contains(&uid))?;
            Some(&group.table)
        };
        let table = of_token()
            .or_else(of_user)
            .or_else(of_group)
            .or(self.everyone.as_ref());
        table
            .map(|table| table.applied(uid, token))
            .ok_or_else(|| not_covered(uid, token))
    }

    /// What all callers together may spend.
    #[must_use]
    pub fn total(&self) -> &Total {
        &self.total
    }

    /// Prices that override the list's.
    #[must_use]
    pub fn prices(&self) -> Option<&Overlay> {
        self.prices.as_ref()
    }

    /// Whether any limit, of a table or of the total, is in this measure.
    #[must_use]
    pub fn has(&self, measure: Measure) -> bool {
        let mut limits = self.tables().flat_map(|table| table.rules.limits().iter());
        limits.any(|limit| limit.measure == measure)
            || self.total.limits.iter().any(|it| it.measure == measure)
    }

    /// All limits with the accounts that they are of: the total first. Where each caller has an account of its
    /// own, the limit is with that of the table.
    #[must_use]
    pub fn limits(&self) -> Vec<(Account, Limit)> {
        let tables = self.tables();
        let accounts = tables.map(|table| (&table.account, table.rules.limits()));
        std::iter::once((&self.total.account, &self.total.limits))
            .chain(accounts)
            .flat_map(|(account, limits)| limits.iter().map(|limit| (account.clone(), *limit)))
            .collect()
    }

    /// The same without those that each caller has for its own.
    #[must_use]
    pub fn shared_limits(&self) -> Vec<(Account, Limit)> {
        let is_own = |account: &Account| {
            let mut tables = self.tables();
            tables.any(|table| table.each_caller && table.account == *account)
        };
        let mut limits = self.limits();
        limits.retain(|(account, _)| !is_own(account));
        limits
    }

    /// Whether it makes a difference which user calls.
    #[must_use]
    pub fn names_users(&self) -> bool {
        let has_own = self
            .everyone
            .as_ref()
            .is_some_and(|table| table.each_caller);
        has_own || !self.users.is_empty() || !self.groups.is_empty()
    }

    /// The client tokens that have tables.
    pub fn tokens(&self) -> impl Iterator<Item = &str> {
        self.tokens.keys().map(String::as_str)
    }

    fn tables(&self) -> impl Iterator<Item = &Table> {
        let groups = self.groups.iter().map(|group| &group.table);
        (self.everyone.iter())
            .chain(groups)
            .chain(self.users.values())
            .chain(self.tokens.values())
    }
}

impl Table {
    /// The table of everyone, who share one account.
    pub(crate) fn of_everyone(rules: Rules) -> Self {
        Self {
            account: Account::everyone(),
            each_caller: false,
            rules: Arc::new(rules),
        }
    }

    fn applied(&self, uid: Option<u32>, token: Option<&str>) -> Applied {
        let account = if self.each_caller {
            self.account.of_caller(uid, token)
        } else {
            self.account.clone()
        };
        Applied {
            account,
            rules: Arc::clone(&self.rules),
        }
    }
}

fn not_covered(uid: Option<u32>, token: Option<&str>) -> Denied {
    let who = match (token, uid) {
        (Some(token), Some(uid)) => format!("the token {} or the user {uid}", quoted(token)),
        (Some(token), None) => format!("the token {}", quoted(token)),
        (None, Some(uid)) => format!("the user {uid}"),
        (None, None) => "a caller whose user is not known".to_owned(),
    };
    Denied::caller(format!("the policy has no table for {who}"))
}
