//! Refusals of requests whose heads were not read: a few of each user have a line, the rest is counted.
//!
//! Whoever may not call can cause any number of them, and a line for each would fill the disk of those who may. Each
//! user has lines of its own, so that nobody's can be hidden behind another's.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// So many of one user have a line, in a second.
pub(crate) const LINES_A_SECOND: u32 = 20;

/// So many users have lines, in a second.
const MOST_USERS: usize = 64;

/// What was written in this second, and what was not.
#[derive(Debug, Default)]
pub(crate) struct UnreadHeads {
    since: Option<Instant>,
    written: HashMap<Option<u32>, u32>,
    counted: u64,
}

impl UnreadHeads {
    /// Whether one of this user has a line; counts it otherwise. `None`: it is not known whose it is.
    pub(crate) fn has_line(&mut self, user: Option<u32>, now: Instant) -> bool {
        let is_over = |since| now.duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            self.since = Some(now);
            self.written.clear();
        }
        let has_room = self.written.len() < MOST_USERS || self.written.contains_key(&user);
        let written = has_room.then(|| self.written.entry(user).or_default());
        match written {
            Some(written) if *written < LINES_A_SECOND => {
                *written += 1;
                true
            }
            _ => {
                self.counted += 1;
                false
            }
        }
    }

    /// How many have none, since this was asked last.
    pub(crate) fn take_counted(&mut self) -> u64 {
        std::mem::take(&mut self.counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_user_has_some_lines_a_second_and_the_rest_is_counted() {
        let mut heads = UnreadHeads::default();
        let now = Instant::now();
        let mut lines = |user, at| (0..100).filter(|_| heads.has_line(user, at)).count();
        assert_eq!(
            [lines(Some(1), now), lines(Some(2), now), lines(None, now)],
            [20; 3]
        );
        assert_eq!(lines(Some(1), now + Duration::from_secs(1)), 20);
        assert_eq!((heads.take_counted(), heads.take_counted()), (320, 0));
    }

    #[test]
    fn users_that_are_many_have_no_lines_of_their_own() {
        let mut heads = UnreadHeads::default();
        let now = Instant::now();
        let lines = (0..1000).filter(|&user| heads.has_line(Some(user), now));
        assert_eq!(lines.count(), MOST_USERS);
        assert!(heads.has_line(Some(0), now));
    }
}
