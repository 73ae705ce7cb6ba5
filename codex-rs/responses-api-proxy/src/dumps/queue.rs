//! From the threads that serve to the one that writes dumps: pieces of bodies, in a queue with an end, where nobody
//! waits to put in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::dumps::name::DumpName;
use crate::dumps::unfinished::Begin;

/// How many bytes may wait; and how many of them for one user, so that no user's leave nothing for the others'.
const MOST_WAITING: usize = 16 * 1024 * 1024;
const MOST_OF_USER: usize = MOST_WAITING / 2;

/// What an item takes besides its bytes, about.
const OF_AN_ITEM: usize = 128;

/// So much is taken out at once, in bytes: what is taken out is in memory still.
const AT_ONCE: usize = 256 * 1024;

/// When there was nothing, the reader rests for so long after it is woken: to be woken for each piece would cost
/// whoever serves more than the piece itself.
const REST: Duration = Duration::from_millis(10);

/// What happens to a dump.
pub(super) enum Item {
    Begin(DumpName, Box<Begin>),
    Piece(DumpName, Box<[u8]>),
    End(DumpName, End),
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// There is no more of it.
    Cut,
    /// A part of it found no room in the queue.
    GivenUp,
}

/// An item, whose it is, and what it takes in bytes. What takes none is nobody's.
struct Waiting {
    item: Item,
    user: Option<u32>,
    bytes: usize,
}

#[derive(Default)]
struct State {
    items: VecDeque<Waiting>,
    bytes: usize,
    /// Of users of whom something waits.
    bytes_of: HashMap<Option<u32>, usize>,
    /// Dumps of which not even the beginning found room.
    refused: u64,
    is_awaited: bool,
    is_closed: bool,
    is_done: bool,
}

/// What the reader found.
pub(super) struct Batch {
    pub(super) items: Vec<Item>,
    /// Dumps of which not even the beginning found room, since the last batch.
    pub(super) refused: u64,
    /// Nothing is left and nothing comes any more.
    pub(super) is_last: bool,
}

impl State {
    fn give_back(&mut self, user: Option<u32>, bytes: usize) {
        if let Some(of_user) = self.bytes_of.get_mut(&user) {
            *of_user = of_user.saturating_sub(bytes);
            if *of_user == 0 {
                self.bytes_of.remove(&user);
            }
        }
    }
}

#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to read, nothing will come any more, or all is written.
    changed: Condvar,
}

impl Queue {
    /// False if there is no room for the beginning of a dump. It is counted.
    pub(super) fn begin(&self, name: DumpName, begin: Begin) -> bool {
        let (user, bytes) = (begin.user, begin.len());
        let has_room = self.push(user, bytes, || Item::Begin(name, Box::new(begin)));
        if !has_room {
            self.lock().refused += 1;
        }
        has_room
    }

    /// False if there is no room for a piece.
    pub(super) fn piece(&self, user: Option<u32>, name: DumpName, piece: &[u8]) -> bool {
        self.push(user, piece.len(), || Item::Piece(name, piece.into()))
    }

    /// Has always room: there is one for each beginning.
    pub(super) fn end(&self, name: DumpName, end: End) {
        let mut state = self.lock();
        state.items.push_back(Waiting {
            item: Item::End(name, end),
            user: None,
            bytes: 0,
        });
        self.wake(state);
    }

    fn push(&self, user: Option<u32>, bytes: usize, item: impl FnOnce() -> Item) -> bool {
        let bytes = bytes + OF_AN_ITEM;
        let mut state = self.lock();
        let of_user = state.bytes_of.get(&user).copied().unwrap_or(0) + bytes;
        if state.bytes + bytes > MOST_WAITING || of_user > MOST_OF_USER {
            return false;
        }
        state.bytes += bytes;
        state.bytes_of.insert(user, of_user);
        let item = item();
        state.items.push_back(Waiting { item, user, bytes });
        self.wake(state);
        true
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wakes = std::mem::take(&mut state.is_awaited);
        drop(state);
        if wakes {
            self.changed.notify_all();
        }
    }

    /// Some of what is there, as soon as there is something or `limit` is over.
    pub(super) fn next_batch(&self, limit: Duration) -> Batch {
        let mut state = self.lock();
        if state.items.is_empty() && !state.is_closed {
            state.is_awaited = true;
            let nothing = |state: &mut State| state.items.is_empty() && !state.is_closed;
            state = self.wait_while(state, limit, nothing);
            state.is_awaited = false;
            if !state.items.is_empty() {
                state = self.wait_while(state, REST, |state| !state.is_closed);
            }
        }
        let mut items = Vec::new();
        let mut bytes = 0;
        while bytes < AT_ONCE
            && let Some(waiting) = state.items.pop_front()
        {
            bytes += waiting.bytes;
            state.give_back(waiting.user, waiting.bytes);
            items.push(waiting.item);
        }
        state.bytes = state.bytes.saturating_sub(bytes);
        if state.items.is_empty() {
            // What a burst took is not kept.
            state.items.shrink_to(1024);
        }
        Batch {
            is_last: state.is_closed && state.items.is_empty(),
            refused: std::mem::take(&mut state.refused),
            items,
        }
    }

    /// All is written.
    pub(super) fn note_done(&self) {
        self.lock().is_done = true;
        self.changed.notify_all();
    }

    /// Nothing comes any more. Waits until all is written, but not for longer than `limit`; false if it is not.
    pub(super) fn close(&self, limit: Duration) -> bool {
        let mut state = self.lock();
        state.is_closed = true;
        self.changed.notify_all();
        let until = Instant::now() + limit;
        while !state.is_done {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self.wait_while(state, left, |state| !state.is_done);
        }
        true
    }

    fn wait_while<'a>(
        &'a self,
        state: MutexGuard<'a, State>,
        limit: Duration,
        condition: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        self.changed
            .wait_timeout_while(state, limit, condition)
            .unwrap_or_else(PoisonError::into_inner)
            .0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, HeaderValue};

    use crate::credential::known_keys::KnownKeys;
    use crate::credential::redact::Redactor;
    use crate::dumps::name::Half;
    use crate::dumps::token::CallerToken;

    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn name(number: u64) -> DumpName {
        DumpName {
            unix_ms: 1,
            number,
            half: Half::Response,
        }
    }

    fn piece_numbers(batch: &Batch) -> Vec<u64> {
        let number = |item: &Item| match item {
            Item::Piece(name, _) => Some(name.number),
            _ => None,
        };
        batch.items.iter().filter_map(number).collect()
    }

    #[test]
    fn what_finds_no_room_is_refused_and_an_end_always_finds_some() {
        let queue = Queue::default();
        let large = vec![b'x'; MOST_WAITING / 4 - OF_AN_ITEM];
        for number in 0..4 {
            assert!(queue.piece(Some(u32::from(number < 2)), name(number), &large));
        }
        assert!(!queue.piece(None, name(4), b"x"));
        queue.end(name(4), End::GivenUp);
        let first = queue.next_batch(LONG);
        assert_eq!(piece_numbers(&first), [0]);
        assert!(!first.is_last);
        assert!(queue.piece(None, name(5), &large));
        assert!(!queue.piece(None, name(6), b"x"));
        let mut seen = Vec::new();
        assert!(!queue.close(Duration::ZERO));
        loop {
            let batch = queue.next_batch(LONG);
            seen.extend(piece_numbers(&batch));
            if batch.is_last {
                break;
            }
        }
        assert_eq!(seen, [1, 2, 3, 5]);
    }

    #[test]
    fn the_token_that_is_kept_out_of_a_dump_counts_as_memory_too() {
        let queue = Queue::default();
        let token = format!("Bearer {}", "t".repeat(60 * 1024));
        let headers = [(AUTHORIZATION, HeaderValue::try_from(token).unwrap())];
        let headers = HeaderMap::from_iter(headers);
        let known = KnownKeys::for_tests(b"sk-Secret-0123456789");
        let begin = |user| Begin {
            user,
            head: Vec::new(),
            redactor: Redactor::new(known, None),
            token: CallerToken::of(&headers, true),
        };
        for user in [Some(1), None] {
            let begun = (0..1000).take_while(|&number| queue.begin(name(number), begin(user)));
            assert_eq!(begun.count(), MOST_OF_USER / (60 * 1024 + OF_AN_ITEM));
        }
    }

    #[test]
    fn one_user_takes_half_of_it_and_leaves_the_rest_to_the_others() {
        let queue = Queue::default();
        let half = vec![b'x'; MOST_OF_USER - OF_AN_ITEM];
        assert!(queue.piece(Some(1), name(1), &half));
        assert!(!queue.piece(Some(1), name(2), b"x"));
        assert!(queue.piece(Some(2), name(3), &half));
        let first = queue.next_batch(LONG);
        assert_eq!(piece_numbers(&first), [1]);
        assert!(queue.piece(Some(1), name(4), &half));
        assert!(!queue.piece(Some(2), name(5), b"x"));
        while !queue.lock().items.is_empty() {
            queue.next_batch(LONG);
        }
        let state = queue.lock();
        assert_eq!((state.bytes, state.bytes_of.len()), (0, 0));
    }

    #[test]
    fn whoever_closes_it_waits_until_all_is_written() {
        let queue = std::sync::Arc::new(Queue::default());
        let reader = std::thread::spawn({
            let queue = std::sync::Arc::clone(&queue);
            move || {
                let mut items = 0;
                loop {
                    let batch = queue.next_batch(LONG);
                    items += batch.items.len();
                    if batch.is_last {
                        queue.note_done();
                        return items;
                    }
                }
            }
        });
        assert!(queue.piece(None, name(1), b"x"));
        queue.end(name(1), End::Whole);
        assert!(queue.close(LONG));
        assert_eq!(reader.join().unwrap(), 2);
    }
}
