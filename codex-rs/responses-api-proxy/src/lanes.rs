//! Which connection to the upstream a request goes by.
//!
//! A client keeps one HTTP/2 connection, and a server allows so many streams on it:
//! the request beyond them waits until another is over, which can be minutes. So
//! there are several clients, each a lane with room for [`COMFORTABLE`] requests;
//! the first lane with room is taken, and when none has any, one more is opened.
//! Lanes that a burst needed fall idle when it is over, and their connections with
//! them. Over HTTP/1.1 a request has a connection of its own in any lane.
//!
//! Nor does a burst open a connection for each request, as a client does that does
//! not know yet which protocol the upstream speaks: where nothing shows that there
//! is a connection, one request goes first, and those that come meanwhile follow
//! when it is on its way, or has failed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use reqwest::Client;
use tokio::sync::Semaphore;

/// Requests at once in one lane. RFC 9113, section 6.5.2 advises servers to allow
/// 100 streams or more; what was just given up here may still count there.
const COMFORTABLE: usize = 75;

/// The lanes; clones share them.
#[derive(Clone)]
pub(crate) struct Lanes(Arc<Shared>);

struct Shared {
    /// Makes the client of a further lane.
    make: Box<dyn Fn() -> reqwest::Result<Client> + Send + Sync>,
    lanes: Mutex<Vec<Lane>>,
}

struct Lane {
    client: Client,
    /// Requests that were given this lane and are not over.
    taken: usize,
    /// How many of them have a connection.
    under_way: usize,
    /// The one that goes first, while it has none: closed when it has, or never will.
    first: Option<Arc<Semaphore>>,
}

/// One request's room in its lane; kept until its answer is over.
pub(crate) struct Seat(#[expect(dead_code, reason = "it is there to be dropped")] Arc<Claim>);

/// Held by the body of the same request: hyper begins to take it once there is a
/// connection, which is how we know.
pub(crate) struct Departure {
    claim: Arc<Claim>,
    followers: Option<Followers>,
}

impl Departure {
    /// The request is on its way.
    pub(crate) fn leave(self) {
        let claim = &self.claim;
        if !claim.is_under_way.swap(true, Ordering::Relaxed) {
            claim.shared.change(claim.lane, |lane| lane.under_way += 1);
        }
        // Only now: those let go find a connection.
        drop(self.followers);
    }
}

struct Claim {
    shared: Arc<Shared>,
    lane: usize,
    is_under_way: AtomicBool,
}

impl Drop for Claim {
    fn drop(&mut self) {
        let was_under_way = usize::from(*self.is_under_way.get_mut());
        self.shared.change(self.lane, |lane| {
            lane.taken -= 1;
            lane.under_way -= was_under_way;
        });
    }
}

/// Requests that wait for this one; dropping it lets them go.
struct Followers(Arc<Semaphore>);

impl Drop for Followers {
    fn drop(&mut self) {
        self.0.close();
    }
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
        let make = Box::new(make);
        Ok(Self(Arc::new(Shared { make, lanes })))
    }

    /// The client to send a request by. The [`Seat`] is kept until the answer is
    /// over, the [`Departure`] goes with the request's body.
    pub(crate) async fn take(&self) -> (Client, Seat, Departure) {
        let (client, lane, turn) = self.0.choose();
        let claim = Arc::new(Claim {
            shared: Arc::clone(&self.0),
            lane,
            is_under_way: AtomicBool::new(false),
        });
        let seat = Seat(Arc::clone(&claim));
        let followers = match turn {
            Turn::Now => None,
            Turn::First(gate) => Some(Followers(gate)),
            Turn::After(gate) => {
                // It has no permits: an error, when it is closed, is all there can be.
                let _closed = gate.acquire().await;
                None
            }
        };
        (client, seat, Departure { claim, followers })
    }
}

impl fmt::Debug for Lanes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lanes").field(&self.0.lock().len()).finish()
    }
}

/// When a request may go.
enum Turn {
    Now,
    First(Arc<Semaphore>),
    After(Arc<Semaphore>),
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Vec<Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn choose(&self) -> (Client, usize, Turn) {
        let mut lanes = self.lock();
        let roomy = lanes.iter().position(|lane| lane.taken < COMFORTABLE);
        let chosen = roomy.unwrap_or_else(|| {
            // A client was made of the same parts before, so another can be; if not,
            // waiting in the emptiest lane is better than failing.
            if let Ok(client) = (self.make)() {
                lanes.push(Lane::new(client));
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
        (lane.client.clone(), chosen, lane.turn())
    }

    fn change(&self, lane: usize, change: impl FnOnce(&mut Lane)) {
        if let Some(lane) = self.lock().get_mut(lane) {
            change(lane);
        }
    }
}

impl Lane {
    fn new(client: Client) -> Self {
        Self {
            client,
            taken: 0,
            under_way: 0,
            first: None,
        }
    }

    fn turn(&mut self) -> Turn {
        if self.under_way > 0 {
            return Turn::Now;
        }
        match &self.first {
            Some(first) if !first.is_closed() => Turn::After(Arc::clone(first)),
            _ => {
                let first = Arc::new(Semaphore::new(0));
                self.first = Some(Arc::clone(&first));
                Turn::First(first)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    fn lanes() -> Lanes {
        let provider = rustls::crypto::ring::default_provider();
        let tls = rustls::ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let make = move || {
            Client::builder()
                .tls_backend_preconfigured(tls.clone())
                .build()
        };
        Lanes::new(make).unwrap()
    }

    /// The outcome of `future`, if it need not wait for anybody.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(future).poll(&mut cx) {
            Poll::Ready(outcome) => Some(outcome),
            Poll::Pending => None,
        }
    }

    fn under_way(lanes: &Lanes, count: usize) -> Vec<Seat> {
        let seats = (0..count).map(|_| {
            let (_client, seat, departure) = now(lanes.take()).expect("nobody to wait for");
            departure.leave();
            seat
        });
        seats.collect()
    }

    fn taken(lanes: &Lanes) -> Vec<usize> {
        lanes.0.lock().iter().map(|lane| lane.taken).collect()
    }

    #[test]
    fn a_lane_is_opened_when_the_others_are_full_and_the_first_one_is_preferred() {
        let lanes = lanes();
        let mut seats = under_way(&lanes, COMFORTABLE * 2 + 1);
        assert_eq!(taken(&lanes), [COMFORTABLE, COMFORTABLE, 1]);
        seats.drain(..2);
        seats.extend(under_way(&lanes, 1));
        assert_eq!(taken(&lanes), [COMFORTABLE - 1, COMFORTABLE, 1]);
        drop(seats);
        assert_eq!(taken(&lanes), [0, 0, 0]);
    }

    #[test]
    fn one_goes_first_and_the_others_follow_when_it_has_left() {
        let lanes = lanes();
        let (_client, _seat, departure) = now(lanes.take()).unwrap();
        let mut second = pin!(lanes.take());
        assert!(now(second.as_mut()).is_none());
        departure.leave();
        assert!(now(second.as_mut()).is_some());
        assert!(now(lanes.take()).is_some());
    }

    #[test]
    fn they_follow_too_when_it_never_leaves() {
        let lanes = lanes();
        let (_client, seat, departure) = now(lanes.take()).unwrap();
        let (mut second, mut third) = (pin!(lanes.take()), pin!(lanes.take()));
        assert!(now(second.as_mut()).is_none() && now(third.as_mut()).is_none());
        drop((seat, departure));
        assert!(now(second.as_mut()).is_some() && now(third.as_mut()).is_some());
    }

    #[test]
    fn when_all_are_over_one_goes_first_again() {
        let lanes = lanes();
        drop(under_way(&lanes, 3));
        let _first = now(lanes.take()).unwrap();
        assert!(now(lanes.take()).is_none());
        assert_eq!(
            taken(&lanes),
            [1],
            "whoever gives up waiting leaves no trace"
        );
    }
}
