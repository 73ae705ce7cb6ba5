//! Accepts connections and hands each to its protocol.

use std::sync::Arc;

use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::mock_state::MockState;
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

/// What the accept loop of one mock works with.
pub(super) struct Acceptor {
    pub(super) state: Arc<MockState>,
    pub(super) on_accept: OnAccept,
    pub(super) tls: Option<TlsAcceptor>,
}

/// Accepts until the runtime ends.
pub(super) async fn accept(listener: TcpListener, acceptor: Acceptor) {
    let acceptor = Arc::new(acceptor);
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let connection = acceptor.state.journal.opened();
                let serving = Arc::clone(&acceptor);
                drop(acceptor.state.spawn(async move {
                    serve(tcp, connection, &serving).await;
                    serving.state.journal.closed();
                }));
            }
            // Out of file descriptors, most likely: others will be closed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    }
}

async fn serve(tcp: TcpStream, connection: usize, acceptor: &Acceptor) {
    let Ok((mut tcp, raw)) = split_raw(tcp) else {
        return;
    };
    match acceptor.on_accept {
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
    let state = Arc::clone(&acceptor.state);
    let Some(tls) = &acceptor.tls else {
        return h1::serve(Wire::plain(tcp, raw), connection, state).await;
    };
    match tls.accept(tcp).await {
        Ok(tls) => {
            let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
            let wire = Wire::tls(tls, raw);
            if h2 {
                h2_server::serve(wire, connection, state).await;
            } else {
                h1::serve(wire, connection, state).await;
            }
        }
        Err(error) => state.journal.tls_failed(error.to_string()),
    }
}
