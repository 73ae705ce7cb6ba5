//! One host: a ledger and what keeps its leases, in this process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use codex_fleet::{Dialer, FleetState, Keeper, Lookup, Notice, Place, Store, StoreAddress, Terms};
use codex_ledger::{
    Amounts, Clock, Down, Exceeded, Grant, Ledger, Limit, Measure, Mode, Subject, Which, Window,
};
use codex_test_support::{RedisServer, skipped};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

/// How long leases last in these tests.
pub(crate) const TTL: Duration = Duration::from_millis(1_500);

/// How long a request waits for a lease.
const PATIENCE: Duration = Duration::from_secs(2);

pub(crate) fn server() -> Option<RedisServer> {
    let server = RedisServer::start(&[]);
    if server.is_none() {
        skipped("needs redis-server or valkey-server (Debian: redis-server)");
    }
    server
}

pub(crate) fn limit(most: u64) -> Limit {
    Limit {
        measure: Measure::Tokens,
        most,
        window: Window::Month,
    }
}

pub(crate) fn tokens(tokens: u64) -> Amounts {
    Amounts {
        requests: 1,
        tokens,
        nano_usd: 0,
    }
}

pub(crate) fn store_on(socket: PathBuf) -> Store {
    let address = StoreAddress {
        place: Place::Socket(socket),
        database: 0,
        user: None,
    };
    let lookup: Lookup = Arc::new(|_| Box::pin(async { Ok(Vec::new()) }));
    Store::new(Dialer::new(address, None, lookup), None, "test")
}

pub(crate) struct Host {
    pub(crate) ledger: Ledger,
    pub(crate) state: FleetState,
    subjects: Arc<[Subject]>,
    mode: Mode,
    changes: watch::Receiver<()>,
    stop: Option<oneshot::Sender<()>>,
    keeping: JoinHandle<()>,
}

pub(crate) struct Setup {
    pub(crate) most: u64,
    pub(crate) mode: Mode,
    pub(crate) down: Down,
    pub(crate) clock: Clock,
}

impl Setup {
    pub(crate) fn of(most: u64, mode: Mode) -> Self {
        Self {
            most,
            mode,
            down: Down::Refuse,
            clock: Clock::system(),
        }
    }

    pub(crate) async fn host(self, server: &RedisServer) -> Host {
        self.host_by(server.socket()).await
    }

    /// The same, of a server that is reached by this socket.
    pub(crate) async fn host_by(self, socket: PathBuf) -> Host {
        let woken = Arc::new(Notify::new());
        let wake = Arc::clone(&woken);
        let ledger = Ledger::shared(self.clock, TTL, self.down, move || wake.notify_one());
        ledger.lease_ahead("total".into(), &limit(self.most));
        let terms = Terms {
            ttl: TTL,
            is_strict: self.mode == Mode::Strict,
        };
        let say = |_: Notice<'_>| {};
        let store = store_on(socket);
        let mut keeper = Keeper::new(ledger.clone(), store, terms, woken, say);
        keeper.begin().await.unwrap();
        let (state, changes) = (keeper.state(), keeper.changes());
        let (stop, stopped) = oneshot::channel();
        let keeping = tokio::spawn(keeper.run(async move {
            let _ = stopped.await;
        }));
        Host {
            ledger,
            state,
            subjects: [Subject {
                account: "total".into(),
                limits: [limit(self.most)].into(),
                concurrent: None,
            }]
            .into(),
            mode: self.mode,
            changes,
            stop: Some(stop),
            keeping,
        }
    }
}

impl Host {
    /// A request as the proxy admits it: it waits a while for a lease.
    pub(crate) async fn admit(&self, estimate: u64) -> Result<Grant, Exceeded> {
        let mut grant = self.ledger.enter(self.subjects.clone(), self.mode)?;
        let mut changes = self.changes.clone();
        let waiting = async {
            loop {
                changes.mark_unchanged();
                match grant.hold_or_wait(tokens(estimate)) {
                    Err(Exceeded {
                        what: Which::NotLeased { .. },
                        ..
                    }) => {
                        let _ = changes.changed().await;
                    }
                    decided => return decided.map(|_| ()),
                }
            }
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(decided) => decided?,
            Err(_) => grant.hold(tokens(estimate)).map(|_| ())?,
        }
        Ok(grant)
    }

    /// Spends so much in one request. Whether it might.
    pub(crate) async fn spend(&self, amount: u64) -> bool {
        match self.admit(amount).await {
            Ok(mut grant) => {
                grant.settle(tokens(amount));
                true
            }
            Err(_) => false,
        }
    }

    /// What all hosts have spent, as far as this one knows.
    pub(crate) fn known(&self) -> u64 {
        self.ledger.spent("total", &limit(1)).spent
    }

    /// Dies without a word.
    pub(crate) fn kill(self) {
        self.keeping.abort();
    }

    /// Ends in an orderly way.
    pub(crate) async fn end(mut self) {
        drop(self.stop.take());
        self.keeping.await.unwrap();
    }
}

/// A socket by which `server` is so far away, in each direction, for any number of connections; it lives as long as the
/// test.
pub(crate) fn far_from(server: &RedisServer, away: Duration, dir: &Path) -> PathBuf {
    let (near, far) = (dir.join("far"), server.socket());
    let listener = UnixListener::bind(&near).unwrap();
    tokio::spawn(async move {
        while let Ok((caller, _)) = listener.accept().await {
            let server = UnixStream::connect(&far).await.unwrap();
            let ((caller_in, caller_out), (server_in, server_out)) =
                (caller.into_split(), server.into_split());
            tokio::spawn(carry(caller_in, server_out, away));
            tokio::spawn(carry(server_in, caller_out, away));
        }
    });
    near
}

/// One question or one answer is under way at a time.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, away: Duration) {
    let mut piece = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        tokio::time::sleep(away).await;
        if to.write_all(&piece[..length]).await.is_err() {
            return;
        }
    }
}

/// What the server has counted: spent and leased.
pub(crate) async fn counted(server: &RedisServer) -> (u64, u64) {
    let begun = std::time::Instant::now();
    let totals = loop {
        match store_on(server.socket()).totals().await {
            Ok(totals) => break totals,
            // It has just been started, or waked.
            Err(error) => assert!(begun.elapsed() < Duration::from_secs(60), "{error}"),
        }
    };
    totals
        .first()
        .map_or((0, 0), |total| (total.spent, total.leased))
}

/// Waits until what the server has counted suits.
pub(crate) async fn until(server: &RedisServer, suits: impl Fn((u64, u64)) -> bool) -> (u64, u64) {
    let begun = std::time::Instant::now();
    loop {
        let found = counted(server).await;
        if suits(found) || begun.elapsed() > Duration::from_secs(60) {
            assert!(suits(found), "{found:?}");
            return found;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
