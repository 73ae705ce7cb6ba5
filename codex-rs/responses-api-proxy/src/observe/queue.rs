//! From the threads that serve to the one that writes down: a queue with an end, where nobody waits to put in.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// After a batch the reader rests for so long: to be woken for each item would cost whoever serves more than
/// the item itself.
const REST: Duration = Duration::from_millis(20);

/// For how many items room is kept while there are none.
const MOST_KEPT: usize = 256;

/// A queue with an end.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// There is something to read, or nothing will come any more.
    changed: Condvar,
    most: usize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    dropped: u64,
    /// The reader sleeps until it is woken.
    is_awaited: bool,
    is_closed: bool,
}

/// What the reader found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Batch<T> {
    pub(crate) items: VecDeque<T>,
    /// How many found no room, since the last batch.
    pub(crate) dropped: u64,
    /// Nothing comes any more.
    pub(crate) is_last: bool,
}

impl<T> Queue<T> {
    /// Of at most so many items.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                dropped: 0,
                is_awaited: false,
                is_closed: false,
            }),
            changed: Condvar::new(),
            most,
        }
    }

    /// Puts an item in. Without room it is dropped and counted.
    pub(crate) fn push(&self, item: T) {
        let mut state = self.lock();
        if state.items.len() >= self.most {
            state.dropped += 1;
            return;
        }
        state.items.push_back(item);
        let wakes = std::mem::take(&mut state.is_awaited);
        drop(state);
        if wakes {
            self.changed.notify_one();
        }
    }

    /// All that is there, as soon as there is something or `limit` is over. `emptied` is where the next items are put:
    /// that of the batch before, so that whoever serves does not have to make room, and to copy what is in it, for
    /// each batch anew.
    pub(crate) fn next_batch(&self, limit: Duration, mut emptied: VecDeque<T>) -> Batch<T> {
        emptied.clear();
        emptied.shrink_to(MOST_KEPT);
        let mut state = self.lock();
        state.is_awaited = true;
        let nothing = |state: &mut State<T>| state.items.is_empty() && !state.is_closed;
        state = self
            .changed
            .wait_timeout_while(state, limit, nothing)
            .unwrap_or_else(PoisonError::into_inner)
            .0;
        state.is_awaited = false;
        Batch {
            items: std::mem::replace(&mut state.items, emptied),
            dropped: std::mem::take(&mut state.dropped),
            is_last: state.is_closed,
        }
    }

    /// Waits a moment, so that the next batch is worth reading; not if nothing comes any more.
    pub(crate) fn rest(&self) {
        let _ = self
            .changed
            .wait_timeout_while(self.lock(), REST, |state| !state.is_closed);
    }

    /// Nothing comes any more.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn take(&self) -> Vec<T> {
        self.lock().items.drain(..).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::sync::Arc;
    use std::thread;

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let queue = Queue::new(2);
        (0..5).for_each(|number| queue.push(number));
        let batch = queue.next_batch(LONG, VecDeque::new());
        assert_eq!((batch.dropped, batch.is_last), (3, false));
        assert_eq!(batch.items, [0, 1]);
        queue.push(5);
        // What was not taken out of it does not come again.
        assert_eq!(queue.next_batch(LONG, batch.items).items, [5]);
    }

    #[test]
    fn a_reader_is_woken_by_what_comes_and_by_the_end() {
        let queue = Arc::new(Queue::new(8));
        let reader = thread::spawn({
            let queue = Arc::clone(&queue);
            move || {
                let (mut read, mut emptied) = (Vec::new(), VecDeque::new());
                loop {
                    let mut batch = queue.next_batch(LONG, emptied);
                    read.extend(batch.items.drain(..));
                    emptied = batch.items;
                    if batch.is_last {
                        return read;
                    }
                    queue.rest();
                }
            }
        });
        queue.push(1);
        queue.push(2);
        queue.close();
        assert_eq!(reader.join().unwrap(), [1, 2]);
    }

    #[test]
    fn room_is_kept_for_some_hundred_items_and_not_for_a_crowd() {
        let queue = Queue::new(usize::MAX);
        let mut emptied = VecDeque::new();
        for (items, most) in [(100, 256), (100_000, 200_000), (1, 256), (1, 256)] {
            (0..items).for_each(|number| queue.push(number));
            emptied = queue.next_batch(LONG, emptied).items;
            assert!(emptied.capacity() <= most, "{}", emptied.capacity());
        }
    }

    #[test]
    fn a_reader_waits_no_longer_than_it_says() {
        let queue: Queue<u8> = Queue::new(8);
        let batch = queue.next_batch(Duration::from_millis(1), VecDeque::new());
        assert!(batch.items.is_empty());
    }
}
