//! Users and groups of this host, for a policy that names them: asked for at the start, and known from then on, because in
//! the sandbox there is nobody to ask.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use codex_policy::Names;
use codex_process_hardening::{User, members_of};

use crate::observe::user_names::UserNames;

/// What was asked for so far, and what the host says.
#[derive(Debug)]
pub(crate) struct HostNames {
    /// The local user database, as it was at the start.
    local: UserNames,
    users: Mutex<HashMap<String, Option<u32>>>,
    groups: Mutex<HashMap<String, Option<Vec<u32>>>>,
    /// The host can be asked no more.
    is_confined: AtomicBool,
}

impl HostNames {
    pub(crate) fn new(local: UserNames) -> Self {
        Self {
            local,
            users: Mutex::default(),
            groups: Mutex::default(),
            is_confined: AtomicBool::new(false),
        }
    }

    /// From now on the host is asked no more.
    pub(crate) fn confine(&self) {
        self.is_confined.store(true, Ordering::Relaxed);
    }

    fn is_confined(&self) -> bool {
        self.is_confined.load(Ordering::Relaxed)
    }
}

impl Names for HostNames {
    fn user(&self, name: &str) -> Option<u32> {
        let mut users = self.users.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = users.get(name) {
            return known;
        }
        let found = if self.is_confined() {
            self.local.number(name)
        } else {
            User::by_name(name).ok().map(User::uid)
        };
        users.insert(name.to_owned(), found);
        found
    }

    fn group(&self, name: &str) -> Option<Vec<u32>> {
        let mut groups = self.groups.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = groups.get(name) {
            return known.clone();
        }
        let found = if self.is_confined() {
            None
        } else {
            members_of(name).ok()
        };
        groups.insert(name.to_owned(), found.clone());
        found
    }
}
