//! Which connection to the upstream a request goes by.
//!
//! A client keeps one HTTP/2 connection, and a server allows so many streams on it:
//! the request beyond them waits until another is over, which can be minutes. So
//! there are several clients, each a lane with room for [`COMFORTABLE`] requests;
//! the first lane with room is taken, and when none has any, one more is opened.
//! Lanes that a burst needed fall idle when it is over, and their connections with
//! them.
//!
//! Nor does a burst open a connection for each request, as a client does that does
//! not know yet which protocol the upstream speaks, or has just been told to go away:
//! while one request of a lane is *starting*, those that come follow when it has
//! started, which takes no time where there is a connection. If it fails or is given
//! up, two others start in its place; if it takes long, the others look for another
//! lane. Over HTTP/1.1 a request needs a connection of its own, and nobody waits.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::Version;
use reqwest::Client;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// Requests at once in one lane. RFC 9113, section 6.5.2 advises servers to allow
/// 100 streams or more; what was just given up here may still count there.
const COMFORTABLE: usize = 75;

/// The default limit of requests in flight fills 110.
const MOST_LANES: usize = 128;

/// How long a start may take before others try elsewhere: longer than a TLS handshake
/// around the world, about as long as a lost SYN.
const PATIENCE: Duration = Duration::from_secs(1);

/// So often a request follows another one; then it starts whatever the others do.
const FOLLOWS: usize = 2;

/// The lanes; clones share them.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Shared>);

struct Shared {
    /// Makes the client of a further lane.
    make: Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>,
    /// What the upstream spoke last, if that was HTTP/1.
    is_http_1: AtomicBool,
    lanes: Mutex<Vec<Lane>>,
}

struct Lane {
    client: Client,
    /// Requests that were given this lane and are not over.
    taken: usize,
    /// How many of them may go and have not gone yet, and since when there are any.
    starting: usize,
    since: Instant,
    /// Requests that follow when one of these has gone.
    waiting: VecDeque<oneshot::Sender<Starting>>,
}

/// One request's room in its lane; kept until its answer is over.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    lane: usize,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.with(self.lane, |lane| lane.taken -= 1);
    }
}

/// Goes with the body of the request: hyper begins to take it once there is a
/// connection, and a stream on it, which is how we know.
pub(crate) struct Departure(Starting);

impl Departure {
    /// The request is on its way.
    pub(crate) fn leave(mut self) {
        if let Some((shared, lane)) = self.0.of.take() {
            shared.one_less_starts(lane, usize::MAX);
        }
    }
}

/// A request that may go; dropped without having gone, it lets others try.
struct Starting {
    of: Option<(Arc<Shared>, usize)>,
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some((shared, lane)) = self.of.take() {
            shared.one_less_starts(lane, 2);
        }
    }
}

/// When a request may go.
enum Turn {
    Now(Starting),
    Later(oneshot::Receiver<Starting>),
}

impl Lanes {
    /// One lane, and as many as are needed later.
    ///
    /// # Errors
    ///
    /// Those of `make`.
    pub(crate) fn new(
        make: impl Fn() -> reqwest::Result<Client> + Send + Sync + 'static,
    ) -> reqwest::Result<Self> {
        let lanes = Mutex::new(vec![Lane::new(make()?)]);
        Ok(Self(Arc::new(Shared {
            make: Box::new(make),
            is_http_1: AtomicBool::new(false),
            lanes,
        })))
    }

    /// The client to send a request by. The [`Seat`] is kept until the answer is
    /// over, the [`Departure`] goes with the request's body.
    pub(crate) async fn take(&self) -> (Client, Seat, Departure) {
        for _ in 0..FOLLOWS {
            let (client, seat, turn) = self.0.choose(true);
            match turn {
                Turn::Now(starting) => return (client, seat, Departure(starting)),
                Turn::Later(promise) => {
                    if let Ok(Ok(starting)) = tokio::time::timeout(PATIENCE, promise).await {
                        return (client, seat, Departure(starting));
                    }
                }
            }
        }
        let (client, seat, turn) = self.0.choose(false);
        let starting = match turn {
            Turn::Now(starting) => starting,
            Turn::Later(_) => Starting { of: None },
        };
        (client, seat, Departure(starting))
    }

    /// Takes note of what the upstream speaks.
    pub(crate) fn note(&self, version: Version) {
        let is_http_1 = version < Version::HTTP_2;
        self.0.is_http_1.store(is_http_1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lanes").field(&self.0.lock().len()).finish()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, lane: usize, what: impl FnOnce(&mut Lane) -> T) -> Option<T> {
        self.lock().get_mut(lane).map(what)
    }

    /// Seats a request, which will wait for others if it `may_follow`.
    fn choose(self: &Arc<Self>, may_follow: bool) -> (Client, Seat, Turn) {
        let mut lanes = self.lock();
        let now = Instant::now();
        let roomy = lanes.iter().position(|lane| lane.has_room(now));
        let chosen = roomy.unwrap_or_else(|| {
            // A client was made of the same parts before, so another can be; if not,
            // waiting in the emptiest lane is better than failing.
            if lanes.len() < MOST_LANES
                && let Ok(client) = (self.make)()
            {
                lanes.push(Lane::new(client));
                return lanes.len() - 1;
            }
            let emptiest = lanes.iter().enumerate().min_by_key(|(_, lane)| lane.taken);
            emptiest.map_or(0, |(at, _)| at)
        });
        #[expect(
            clippy::indexing_slicing,
            reason = "there is a first lane, and none goes"
        )]
        let lane = &mut lanes[chosen];
        lane.taken += 1;
        let turn = if self.is_http_1.load(Ordering::Relaxed) {
            Turn::Now(Starting { of: None })
        } else if may_follow && lane.starting > 0 {
            let (promise, promised) = oneshot::channel();
            lane.waiting.push_back(promise);
            Turn::Later(promised)
        } else {
            lane.one_more_starts(now);
            Turn::Now(self.starting(chosen))
        };
        let seat = Seat {
            shared: Arc::clone(self),
            lane: chosen,
        };
        (lane.client.clone(), seat, turn)
    }

    fn starting(self: &Arc<Self>, lane: usize) -> Starting {
        Starting {
            of: Some((Arc::clone(self), lane)),
        }
    }

    /// One has gone, or never will: up to `followers` may go now.
    fn one_less_starts(self: &Arc<Self>, lane: usize, followers: usize) {
        self.with(lane, |it| {
            it.starting -= 1;
            let mut room = followers;
            while room > 0
                && let Some(promise) = it.waiting.pop_front()
            {
                match promise.send(self.starting(lane)) {
                    Ok(()) => {
                        it.one_more_starts(Instant::now());
                        room -= 1;
                    }
                    // Whoever waited has given up; nothing started.
                    Err(mut starting) => starting.of = None,
                }
            }
        });
    }
}

impl Lane {
    fn new(client: Client) -> Self {
        Self {
            client,
            taken: 0,
            starting: 0,
            since: Instant::now(),
            waiting: VecDeque::new(),
        }
    }

    fn has_room(&self, now: Instant) -> bool {
        let is_stuck = self.starting > 0 && now.duration_since(self.since) >= PATIENCE;
        self.taken < COMFORTABLE && !is_stuck
    }

    fn one_more_starts(&mut self, now: Instant) {
        if self.starting == 0 {
            self.since = now;
        }
        self.starting += 1;
    }
}

#[cfg(test)]
mod tests;
