//! Accepts connections and hands each to its protocol.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::gate::Gate;
use crate::journal::Journal;
use crate::script::Script;
use crate::step::CutKind;
use crate::wire::{Wire, split_raw};
use crate::{h1, h2_server};

/// What happens to a new connection before any byte is read or written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAccept {
    /// It is served.
    #[default]
    Serve,
    /// It is ended.
    Close(CutKind),
    /// It is left alone: no TLS handshake, no answer, until the peer closes.
    Ignore,
}

/// What the connections of one mock have in common.
pub(crate) struct Shared {
    pub(crate) journal: Arc<Journal>,
    pub(crate) script: Script,
    pub(crate) hold_body: Option<Gate>,
    pub(crate) max_concurrent_streams: Option<u32>,
    pub(super) on_accept: OnAccept,
    pub(super) acceptor: Option<TlsAcceptor>,
}

impl Shared {
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

/// Accepts until the runtime ends.
pub(super) async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let connection = shared.journal.opened();
                let serving = Arc::clone(&shared);
                drop(shared.spawn(async move {
                    serve(tcp, connection, &serving).await;
                    serving.journal.closed();
                }));
            }
            // Out of file descriptors, most likely: others will be closed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn serve(tcp: TcpStream, connection: usize, shared: &Arc<Shared>) {
    let Ok((mut tcp, raw)) = split_raw(tcp) else {
        return;
    };
    match shared.on_accept {
        OnAccept::Serve => {}
        OnAccept::Close(kind) => {
            let mut wire = Wire::plain(tcp, raw);
            wire.end(kind).await;
            wire.drain().await;
            return;
        }
        OnAccept::Ignore => {
            let mut waste = [0; 4096];
            while matches!(tcp.read(&mut waste).await, Ok(1..)) {}
            return;
        }
    }
    let Some(acceptor) = &shared.acceptor else {
        return h1::serve(Wire::plain(tcp, raw), connection, Arc::clone(shared)).await;
    };
    match acceptor.accept(tcp).await {
        Ok(tls) => {
            let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
            let wire = Wire::tls(tls, raw);
            if h2 {
                h2_server::serve(wire, connection, Arc::clone(shared)).await;
            } else {
                h1::serve(wire, connection, Arc::clone(shared)).await;
            }
        }
        Err(error) => shared.journal.tls_failed(error.to_string()),
    }
}
