//! What the connections of one mock upstream have in common.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use crate::gate::Gate;
use crate::journal::Journal;
use crate::script::Script;

/// The script that all connections follow, and the journal that they write.
pub(crate) struct MockState {
    pub(crate) journal: Arc<Journal>,
    pub(crate) script: Script,
    pub(crate) hold_body: Option<Gate>,
    pub(crate) max_concurrent_streams: Option<u32>,
}

impl MockState {
    /// Spawns a task whose panic reaches the test instead of the void.
    pub(crate) fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> tokio::task::JoinHandle<()> {
        let journal = Arc::clone(&self.journal);
        let mut task = Box::pin(task);
        tokio::spawn(std::future::poll_fn(move |cx| {
            catch_unwind(AssertUnwindSafe(|| task.as_mut().poll(cx))).unwrap_or_else(|panic| {
                let text = panic
                    .downcast_ref::<String>()
                    .map(String::as_str)
                    .or_else(|| panic.downcast_ref::<&str>().copied());
                journal.fault(text.unwrap_or("a panic").to_owned());
                Poll::Ready(())
            })
        }))
    }
}
