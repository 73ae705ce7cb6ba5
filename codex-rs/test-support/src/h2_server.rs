//! One HTTP/2 connection of the mock upstream: accepts streams and carries out what ends the
//! whole connection.

use std::sync::Arc;

use h2::Reason;
use tokio::sync::mpsc;

use crate::h2_order::Order;
use crate::h2_stream::Stream;
use crate::h2_tap::Tap;
use crate::mock_state::MockState;
use crate::step::CutKind;
use crate::wire::Wire;

/// Serves the connection until one side ends it.
pub(crate) async fn serve(mut wire: Wire, connection: usize, state: Arc<MockState>) {
    let (tap, sent) = Tap::new(wire.clone());
    let mut builder = h2::server::Builder::new();
    builder
        .initial_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .max_header_list_size(4 << 20);
    if let Some(n) = state.max_concurrent_streams {
        builder.max_concurrent_streams(n);
    }
    let Ok(mut h2) = builder.handshake(tap).await else {
        wire.close();
        return;
    };
    let (orders, mut ordered) = mpsc::unbounded_channel();
    let cut = loop {
        tokio::select! {
            accepted = h2.accept() => {
                let Some(Ok((request, respond))) = accepted else { break None };
                let stream = Stream {
                    connection,
                    state: Arc::clone(&state),
                    wire: wire.clone(),
                    sent: Arc::clone(&sent),
                    orders: orders.clone(),
                };
                drop(state.spawn(stream.run(request, respond)));
            }
            Some(order) = ordered.recv() => match order {
                Order::GoAway => h2.graceful_shutdown(),
                Order::Cut(CutKind::GoAway(code)) => h2.abrupt_shutdown(Reason::from(code)),
                Order::Cut(kind) => break Some(kind),
            }
        }
    };
    if cut.is_none() {
        state.journal.peer_gone(connection);
    }
    // Dropped, h2 writes nothing more, such as a GOAWAY for the streams it still has.
    drop(h2);
    let kind = cut.unwrap_or(CutKind::Fin);
    wire.end(kind).await;
    if kind != CutKind::Reset {
        wire.drain().await;
    }
    // Other streams of a connection that was cut are over as well.
    state.journal.peer_gone(connection);
    wire.close();
}
