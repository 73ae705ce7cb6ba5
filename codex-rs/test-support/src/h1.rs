//! One HTTP/1 connection of the mock upstream: reads requests ahead, answers them in order.

use std::sync::Arc;

use bytes::BytesMut;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::h1_body::{Call, Reader};
use crate::h1_reply::{Then, Writer};
use crate::mock_state::MockState;
use crate::step::CutKind;
use crate::wire::Wire;

/// Serves the connection until one side ends it.
pub(crate) async fn serve(wire: Wire, connection: usize, state: Arc<MockState>) {
    let (calls, mut incoming) = mpsc::unbounded_channel();
    let reader = Reader {
        wire: wire.clone(),
        connection,
        journal: Arc::clone(&state.journal),
        hold_body: state.hold_body.clone(),
        calls,
        buffer: BytesMut::new(),
    };
    let mut reading = state.spawn(reader.run());
    // Also when a handler panics: its request must not look as if it were still being answered.
    let _closing = Closing {
        wire: wire.clone(),
        reading: reading.abort_handle(),
    };
    let mut writer = Writer {
        wire: wire.clone(),
        journal: Arc::clone(&state.journal),
    };

    let cut = loop {
        tokio::select! {
            // A written answer counts as written, even if the peer left right after it.
            biased;
            next = next_answer(&mut incoming, &mut writer, &state) => match next {
                Some(Then::Next) => {}
                Some(Then::End(kind)) => break Some(kind),
                None => break None,
            },
            _ = &mut reading => break None,
        }
    };
    if let Some(kind) = cut {
        writer.wire.end(kind).await;
        if kind != CutKind::Reset {
            // Whatever the peer still sends is recorded; then it has had its time.
            drop(tokio::time::timeout(crate::wire::LINGER, &mut reading).await);
        }
    }
}

/// Ends both sides of the connection when dropped.
struct Closing {
    wire: Wire,
    reading: AbortHandle,
}

impl Drop for Closing {
    fn drop(&mut self) {
        self.reading.abort();
        self.wire.close();
    }
}

/// Answers the next request; `None` when there is none any more.
async fn next_answer(
    incoming: &mut mpsc::UnboundedReceiver<Call>,
    writer: &mut Writer,
    state: &MockState,
) -> Option<Then> {
    match incoming.recv().await? {
        Call::Malformed { index } => {
            let refusal =
                b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            writer.wire.write_all(refusal).await.ok()?;
            state.journal.answered(index);
            Some(Then::End(CutKind::Fin))
        }
        Call::Request { index, complete } => {
            let reply = match state.script.early(&state.journal.request(index)) {
                Some(reply) => reply,
                None => {
                    if complete.await.is_err() {
                        // Gone or malformed inside the body; the reader has noted which.
                        return Some(Then::End(CutKind::Fin));
                    }
                    state.script.answer(&state.journal.request(index))
                }
            };
            let request = state.journal.request(index);
            writer.answer(&request, reply).await.ok()
        }
    }
}
