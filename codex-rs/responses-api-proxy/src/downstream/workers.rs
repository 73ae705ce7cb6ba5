//! Threads that serve connections and share nothing while they do.
//!
//! Each has a runtime of one thread and connections to the upstream of its own, so
//! that whatever one request needs happens in one place: nobody is woken on another
//! core to hand on a piece of an answer. The first one also accepts, and is the only
//! one at work while callers are few; beyond [`SPREAD_ABOVE`] whoever has the fewest
//! connections gets the next one. docs/benchmarks.md has the figures for this shape
//! and for the one runtime of several threads that it replaced.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::downstream::load::{Activity, Counted, Load};
use crate::net::socket::Socket;

/// So many connections stay together: more threads would mean more connections to the
/// upstream, each with a TLS handshake that some caller waits for.
const SPREAD_ABOVE: usize = 8;

/// What the runtime of a thread takes: three to poll with, one to be woken by.
const DESCRIPTORS_OF_A_THREAD: u64 = 4;

/// How many threads beside the first one there can be of those `wanted`, so that they
/// take no more than a quarter of the `descriptors`; and how many are left of these.
pub(crate) fn affordable(wanted: usize, descriptors: u64) -> (usize, u64) {
    let most = descriptors / 4 / DESCRIPTORS_OF_A_THREAD;
    let others = u64::try_from(wanted.saturating_sub(1)).map_or(most, |others| others.min(most));
    let left = descriptors.saturating_sub(others.saturating_mul(DESCRIPTORS_OF_A_THREAD));
    (usize::try_from(others).unwrap_or_default(), left)
}

/// All threads that serve.
#[derive(Debug)]
pub(crate) struct Workers(Vec<Worker>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Worker {
    /// `None`: the thread that accepts.
    thread: Option<Handle>,
    router: Router,
    load: Arc<Load>,
}

impl Workers {
    /// The thread that accepts, serving by `here`, and `threads`, each by its router.
    pub(crate) fn new(here: Router, threads: &Threads, routers: Vec<Router>) -> Self {
        let handles = threads.0.iter().map(|thread| Some(thread.handle.clone()));
        let others = handles.zip(routers);
        let workers = std::iter::once((None, here)).chain(others);
        let now = Instant::now();
        Self(
            workers
                .map(|(thread, router)| Worker {
                    thread,
                    router,
                    load: Load::new(now),
                })
                .collect(),
        )
    }

    /// Who serves the next connection.
    pub(crate) fn next(&self) -> Option<(&Worker, Counted)> {
        let count = |worker: &&Worker| worker.load.connections();
        let first = self.0.first().filter(|first| count(first) < SPREAD_ABOVE);
        let worker = first.or_else(|| self.0.iter().min_by_key(count))?;
        Some((worker, worker.load.count()))
    }

    /// What all of them have to do; `None` if there is none.
    pub(crate) fn activity(&self) -> Option<Activity> {
        let each = self.0.iter().map(|worker| worker.load.activity());
        each.reduce(Activity::and)
    }

    /// Waits until every thread has had a turn: one that is stuck never has. False if one has ended.
    pub(crate) async fn all_turn(&self) -> bool {
        let others = self.0.iter().filter_map(|worker| worker.thread.as_ref());
        // All at once: each on its own thread. The one that accepts is the one that waits here.
        let turns: Vec<_> = others.map(|thread| thread.spawn(async {})).collect();
        for turn in turns {
            if turn.await.is_err() {
                return false;
            }
        }
        true
    }
}

impl Worker {
    pub(crate) fn router(&self) -> Router {
        self.router.clone()
    }

    /// Runs `serve` on this worker's thread, to which the socket moves.
    pub(crate) fn spawn<F>(&self, socket: Socket, serve: impl FnOnce(Socket) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(thread) = &self.thread else {
            tokio::spawn(serve(socket));
            return;
        };
        // The one way it can fail is that there is no memory to poll it with.
        if let Ok(detached) = socket.detach() {
            thread.spawn(async move {
                if let Ok(socket) = detached.attach() {
                    serve(socket).await;
                }
            });
        }
    }
}

/// The threads beside the one that accepts.
#[derive(Debug, Default)]
pub(crate) struct Threads(Vec<Thread>);

#[derive(Debug)]
struct Thread {
    handle: Handle,
    /// Dropped, it ends the thread.
    _until: watch::Sender<()>,
    thread: JoinHandle<()>,
}

impl Threads {
    /// Starts `count` threads, which wait for work.
    ///
    /// # Errors
    ///
    /// When the system has no thread or no poll descriptor to give.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        (0..count)
            .map(|_| Thread::start())
            .collect::<io::Result<_>>()
            .map(Self)
    }

    /// Ends them, with whatever they still serve.
    pub(crate) fn end(self) {
        let threads: Vec<_> = self.0.into_iter().map(|thread| thread.thread).collect();
        for thread in threads {
            // A panic of a thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

impl Thread {
    fn start() -> io::Result<Self> {
        let runtime = runtime()?;
        let handle = runtime.handle().clone();
        let (until, mut ended) = watch::channel(());
        let work = move || {
            // Nothing is ever sent: an error, once the sender is gone, is the end.
            let _gone = runtime.block_on(ended.changed());
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new()
            .name("worker".to_owned())
            .stack_size(STACK)
            .spawn(work)?;
        Ok(Self {
            handle,
            _until: until,
            thread,
        })
    }
}

/// Threads for what blocks, of each runtime: nothing is given to them; a library might.
const BLOCKING_THREADS: usize = 1;
/// Their stack, in bytes, and how long one that has nothing to do stays.
const BLOCKING_STACK: usize = 256 * 1024;
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_secs(10);

/// After so many turns of tasks sockets and timers are looked at, however many tasks there are still (tokio's
/// default is 61): a turn can take as long as 32 KiB of an answer.
const TASKS_IN_A_ROW: u32 = 16;
/// After so many the next one is taken from those that came from another thread; and so many sockets are
/// looked at before tasks have their turn (tokio's defaults).
const LOCAL_TASKS_IN_A_ROW: u32 = 31;
const SOCKETS_IN_A_ROW: usize = 1024;

/// The stack of a thread that serves, in bytes (the standard library's default).
const STACK: usize = 2 * 1024 * 1024;

/// The runtime of one thread.
///
/// # Errors
///
/// When the system has no descriptor to poll with.
pub(crate) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(BLOCKING_STACK)
        .thread_keep_alive(BLOCKING_KEEP_ALIVE)
        .event_interval(TASKS_IN_A_ROW)
        .global_queue_interval(LOCAL_TASKS_IN_A_ROW)
        .max_io_events_per_tick(SOCKETS_IN_A_ROW)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(workers: &Workers) -> Vec<usize> {
        let counts = workers.0.iter().map(|worker| worker.load.connections());
        counts.collect()
    }

    #[test]
    fn a_few_connections_stay_together_and_many_are_spread() {
        let threads = Threads::start(2).unwrap();
        let workers = Workers::new(Router::new(), &threads, vec![Router::new(); 2]);
        let mut counted: Vec<_> = (0..SPREAD_ABOVE)
            .map(|_| workers.next().unwrap().1)
            .collect();
        assert_eq!(counts(&workers), [SPREAD_ABOVE, 0, 0]);
        counted.extend((0..SPREAD_ABOVE).map(|_| workers.next().unwrap().1));
        assert_eq!(
            counts(&workers),
            [SPREAD_ABOVE, SPREAD_ABOVE / 2, SPREAD_ABOVE / 2]
        );
        counted.remove(0);
        counted.push(workers.next().unwrap().1);
        assert_eq!(
            counts(&workers),
            [SPREAD_ABOVE, SPREAD_ABOVE / 2, SPREAD_ABOVE / 2]
        );
        drop(counted);
        assert_eq!(counts(&workers), [0, 0, 0]);
        threads.end();
    }

    #[test]
    fn threads_leave_descriptors_to_callers() {
        assert_eq!(affordable(1, 64), (0, 64));
        assert_eq!(affordable(2, 64), (1, 60));
        assert_eq!(affordable(16, 64), (4, 48));
        assert_eq!(affordable(16, 65_536), (15, 65_476));
        assert_eq!(affordable(usize::MAX, 10), (0, 10));
    }

    #[tokio::test]
    async fn a_thread_that_is_stuck_has_no_turn() {
        let threads = Threads::start(2).unwrap();
        let workers = Workers::new(Router::new(), &threads, vec![Router::new(); 2]);
        assert!(workers.all_turn().await);
        let (stuck, is_stuck) = tokio::sync::oneshot::channel();
        let (release, released) = std::sync::mpsc::channel::<()>();
        threads.0[1].handle.spawn(async move {
            let _ = stuck.send(());
            // As a bug would: it never gives the thread back.
            let _ = released.recv();
        });
        is_stuck.await.unwrap();
        let mut turn = std::pin::pin!(workers.all_turn());
        let waited = tokio::time::timeout(Duration::from_millis(50), turn.as_mut()).await;
        assert!(waited.is_err(), "a thread that is stuck had a turn");
        drop(release);
        assert!(turn.await);
        threads.end();
        assert!(!workers.all_turn().await, "no thread is left");
    }

    #[test]
    fn threads_that_are_ended_take_their_work_with_them() {
        let threads = Threads::start(1).unwrap();
        let (alive, is_over) = std::sync::mpsc::channel::<()>();
        threads.0[0].handle.spawn(async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        });
        threads.end();
        assert!(is_over.recv().is_err());
    }
}
