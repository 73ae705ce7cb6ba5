//! Tasks for those who must not cost others much: there are few of them at once, and the oldest ends for the next.

use std::collections::VecDeque;

use tokio::task::AbortHandle;

/// Those under way, the oldest first.
#[derive(Debug)]
pub(crate) struct NewestTasks {
    most: usize,
    under_way: VecDeque<UnderWay>,
}

#[derive(Debug)]
struct UnderWay {
    user: Option<u32>,
    task: AbortHandle,
}

impl NewestTasks {
    /// At most so many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            most,
            under_way: VecDeque::new(),
        }
    }

    /// Whether one has to end for the next.
    pub(crate) fn is_full(&mut self) -> bool {
        self.under_way.retain(|one| !one.task.is_finished());
        self.under_way.len() >= self.most
    }

    /// Ends the oldest; false if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        self.drop_at(0)
    }

    /// Runs another one; the oldest ends for it if there are as many as may be.
    pub(crate) fn add(&mut self, task: impl Future<Output: Send> + Send + 'static) {
        if self.is_full() {
            self.drop_oldest();
        }
        self.spawn(None, task);
    }

    /// Runs another one for `user`; if there are as many as may be, the oldest ends of whoever has most with this one,
    /// so that no user's crowd ends what another one began.
    pub(crate) fn add_of(
        &mut self,
        user: Option<u32>,
        task: impl Future<Output: Send> + Send + 'static,
    ) {
        if self.is_full() {
            let of = |user| self.under_way.iter().filter(move |one| one.user == user);
            let counts = self.under_way.iter().map(|one| of(one.user).count());
            let others_most = counts.max().unwrap_or(0);
            let is_most = |one: &UnderWay| of(one.user).count() == others_most;
            let own = of(user).count() + 1;
            let at = self
                .under_way
                .iter()
                .position(|one| match own > others_most {
                    true => one.user == user,
                    false => is_most(one),
                });
            self.drop_at(at.unwrap_or(0));
        }
        self.spawn(user, task);
    }

    fn drop_at(&mut self, at: usize) -> bool {
        let dropped = self.under_way.remove(at);
        if let Some(one) = &dropped {
            one.task.abort();
        }
        dropped.is_some()
    }

    fn spawn(&mut self, user: Option<u32>, task: impl Future<Output: Send> + Send + 'static) {
        let task = tokio::spawn(task).abort_handle();
        self.under_way.push_back(UnderWay { user, task });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn users(tasks: &NewestTasks) -> Vec<u32> {
        let users = tasks.under_way.iter();
        users.map(|one| one.user.unwrap_or(0)).collect()
    }

    #[tokio::test]
    async fn a_crowd_of_one_user_ends_nothing_of_another() {
        let mut tasks = NewestTasks::new(4);
        let mut come = |user| {
            tasks.add_of(Some(user), std::future::pending::<()>());
            users(&tasks)
        };
        come(2);
        for _ in 0..10 {
            come(1);
        }
        assert_eq!(come(1), [2, 1, 1, 1]);
        // It costs whoever has most, until nobody has more.
        assert_eq!(come(2), [2, 1, 1, 2]);
        assert_eq!(come(3), [1, 1, 2, 3]);
        assert_eq!(come(4), [1, 2, 3, 4]);
        assert_eq!(come(5), [2, 3, 4, 5]);
        assert_eq!(come(5), [2, 3, 4, 5]);
    }

    #[tokio::test]
    async fn those_that_have_ended_count_no_more() {
        let mut tasks = NewestTasks::new(2);
        for _ in 0..3 {
            tasks.add(std::future::pending::<()>());
        }
        assert!(tasks.is_full());
        assert!(tasks.drop_oldest());
        assert!(!tasks.is_full());
        let (ended, end) = tokio::sync::oneshot::channel();
        tasks.add(async move { ended.send(()) });
        end.await.unwrap();
        tokio::task::yield_now().await;
        assert!(!tasks.is_full());
        assert!(tasks.drop_oldest() && !tasks.drop_oldest());
    }
}
