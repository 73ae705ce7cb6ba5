//! The mock upstream: listens on loopback, answers as scripted, records what it got.

mod accept;
mod builder;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::journal::Journal;
use crate::recorded::RecordedRequest;
use crate::script::Script;
use crate::tls::Identity;
pub use accept::OnAccept;
pub use builder::MockUpstreamBuilder;

/// A running mock upstream; dropping it ends all its connections.
pub struct MockUpstream {
    addr: SocketAddr,
    identity: Option<Identity>,
    journal: Arc<Journal>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for MockUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MockUpstream({})", self.url())
    }
}

/// Starting and finding it.
impl MockUpstream {
    /// Plain HTTP/1.1 that answers as the Responses API, unless told otherwise.
    #[must_use]
    pub fn builder() -> MockUpstreamBuilder {
        MockUpstreamBuilder::new()
    }

    /// Plain HTTP/1.1.
    #[must_use]
    #[track_caller]
    pub fn h1(script: impl Into<Script>) -> Self {
        Self::builder().script(script).start()
    }

    /// HTTP/1.1 over TLS.
    #[must_use]
    #[track_caller]
    pub fn tls_h1(script: impl Into<Script>) -> Self {
        Self::builder().tls_h1().script(script).start()
    }

    /// HTTP/2 over TLS.
    #[must_use]
    #[track_caller]
    pub fn h2(script: impl Into<Script>) -> Self {
        Self::builder().h2().script(script).start()
    }

    /// `http://127.0.0.1:PORT/v1/responses`, or `https:`.
    #[must_use]
    pub fn url(&self) -> String {
        self.url_for(
            if self.is_tls() { "https" } else { "http" },
            "127.0.0.1",
            "/v1/responses",
        )
    }

    /// A URL of this port with another scheme, host or path.
    #[must_use]
    pub fn url_for(&self, scheme: &str, host: &str, path: &str) -> String {
        format!("{scheme}://{host}:{}{path}", self.port())
    }

    /// The address it listens on.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Whether it speaks TLS.
    #[must_use]
    pub fn is_tls(&self) -> bool {
        self.identity.is_some()
    }

    /// Its CA as a PEM file, there as long as the mock; whatever certificate it shows.
    ///
    /// # Panics
    /// Without TLS.
    #[must_use]
    #[track_caller]
    pub fn ca_file(&self) -> PathBuf {
        self.identity
            .as_ref()
            .expect("a mock upstream with TLS")
            .ca_file()
    }

    /// Copies the CA to another file.
    ///
    /// # Errors
    /// When it cannot be written.
    ///
    /// # Panics
    /// Without TLS.
    #[track_caller]
    pub fn copy_ca(&self, to: &Path) -> std::io::Result<()> {
        self.identity
            .as_ref()
            .expect("a mock upstream with TLS")
            .copy_ca(to)
    }
}

/// What it saw. Indices count requests from zero over all connections.
impl MockUpstream {
    /// Every request whose head is in.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.journal.read(|state| state.requests.clone())
    }

    /// Waits for at least `n` request heads.
    #[track_caller]
    pub fn wait_for_requests(&self, n: usize) -> Vec<RecordedRequest> {
        self.journal.wait(&format!("{n} requests"), |state| {
            (state.requests.len() >= n).then(|| state.requests.clone())
        })
    }

    #[track_caller]
    fn wait_for(
        &self,
        i: usize,
        what: &str,
        test: impl Fn(&RecordedRequest) -> bool,
    ) -> RecordedRequest {
        self.journal.wait(&format!("request #{i} {what}"), |state| {
            state
                .requests
                .get(i)
                .filter(|request| test(request))
                .cloned()
        })
    }

    /// Waits until the body of request `i` has ended properly.
    #[track_caller]
    pub fn wait_for_complete(&self, i: usize) -> RecordedRequest {
        self.wait_for(i, "complete", |request| request.complete)
    }

    /// Waits until `n` bytes of the body of request `i` have arrived.
    #[track_caller]
    pub fn wait_for_body_len(&self, i: usize, n: u64) -> RecordedRequest {
        self.wait_for(i, &format!("with {n} body bytes"), |request| {
            request.body_len >= n
        })
    }

    /// Waits until the answer to request `i` is written, up to its scripted cut.
    #[track_caller]
    pub fn wait_for_answered(&self, i: usize) -> RecordedRequest {
        self.wait_for(i, "answered", |request| request.answered)
    }

    /// Waits until the peer has given up request `i`: reset the stream or closed the connection
    /// before the request was complete and answered.
    #[track_caller]
    pub fn wait_for_cancel(&self, i: usize) -> RecordedRequest {
        self.wait_for(i, "cancelled", |request| request.cancelled)
    }

    /// How many connections were accepted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.journal.read(|state| state.opened)
    }

    /// How many connections are open now.
    #[must_use]
    pub fn open_connections(&self) -> usize {
        self.journal.read(|state| state.opened - state.closed)
    }

    /// Waits until `n` connections were accepted.
    #[track_caller]
    pub fn wait_for_connections(&self, n: usize) {
        self.journal.wait(&format!("{n} connections"), |state| {
            (state.opened >= n).then_some(())
        });
    }

    /// Waits until `n` connections have ended.
    #[track_caller]
    pub fn wait_for_disconnects(&self, n: usize) {
        self.journal
            .wait(&format!("the end of {n} connections"), |state| {
                (state.closed >= n).then_some(())
            });
    }

    /// Why TLS handshakes failed.
    #[must_use]
    pub fn tls_failures(&self) -> Vec<String> {
        self.journal.read(|state| state.tls_failures.clone())
    }

    /// Waits until `n` TLS handshakes have failed.
    #[track_caller]
    pub fn wait_for_tls_failures(&self, n: usize) -> Vec<String> {
        self.journal
            .wait(&format!("{n} failed TLS handshakes"), |state| {
                (state.tls_failures.len() >= n).then(|| state.tls_failures.clone())
            })
    }

    /// Checks that nothing malformed arrived.
    ///
    /// # Panics
    /// When something did; shows the request.
    #[track_caller]
    pub fn assert_well_formed(&self) {
        for request in self.requests() {
            if let Some(why) = &request.malformed {
                panic!(
                    "request #{} reached the upstream malformed ({why}): {:?}",
                    request.index,
                    String::from_utf8_lossy(&request.raw_head)
                );
            }
        }
    }
}

impl Drop for MockUpstream {
    fn drop(&mut self) {
        // Dropping the sender alone ends the accept loop.
        drop(self.stop.take());
        let ended = self.thread.take().map(JoinHandle::join);
        if std::thread::panicking() {
            return;
        }
        let faults = self.journal.read(|state| state.faults.clone());
        assert!(faults.is_empty(), "the mock upstream failed: {faults:?}");
        assert!(
            !matches!(ended, Some(Err(_))),
            "the mock upstream's thread panicked"
        );
    }
}
