//! Tasks for those who must not cost others much: there are few of them at once, and the oldest ends for the next.

use std::collections::VecDeque;

use tokio::task::AbortHandle;

/// Those under way, the oldest first.
#[derive(Debug)]
pub(crate) struct NewestTasks {
    most: usize,
    under_way: VecDeque<AbortHandle>,
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
        self.under_way.retain(|task| !task.is_finished());
        self.under_way.len() >= self.most
    }

    /// Ends the oldest; false if there is none.
    pub(crate) fn drop_oldest(&mut self) -> bool {
        let oldest = self.under_way.pop_front();
        oldest.as_ref().map(AbortHandle::abort);
        oldest.is_some()
    }

    /// Runs another one; the oldest ends for it if there are as many as may be.
    pub(crate) fn add(&mut self, task: impl Future<Output: Send> + Send + 'static) {
        if self.is_full() {
            self.drop_oldest();
        }
        let task = tokio::spawn(task);
        self.under_way.push_back(task.abort_handle());
    }
}
