//! One request and its scripted answer over HTTP/2.

use std::future::poll_fn;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use tokio::io::AsyncWriteExt;
use tokio::sync::{mpsc, oneshot};

use crate::Headers;
use crate::h2_order::Order;
use crate::h2_tap::{Amount, Sent};
use crate::mock_state::MockState;
use crate::recorded::RecordedRequest;
use crate::reply::{Kind, Reply};
use crate::script::Piece;
use crate::step::{CutKind, Framing};
use crate::wire::Wire;

/// The peer reset the stream or the connection is over.
struct Gone;

impl From<h2::Error> for Gone {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

/// What a stream works with.
pub(crate) struct Stream {
    pub(crate) connection: usize,
    pub(crate) state: Arc<MockState>,
    pub(crate) wire: Wire,
    pub(crate) sent: Arc<Sent>,
    pub(crate) orders: mpsc::UnboundedSender<Order>,
}

impl Stream {
    /// Records the request and answers it.
    pub(crate) async fn run(self, request: Request<RecvStream>, mut respond: SendResponse<Bytes>) {
        let (head, body) = request.into_parts();
        let index = self.state.journal.record(RecordedRequest {
            connection: self.connection,
            method: head.method.to_string(),
            target: head
                .uri
                .path_and_query()
                .map_or_else(String::new, ToString::to_string),
            version: head.version,
            authority: head.uri.authority().map(ToString::to_string),
            headers: fields(&head.headers),
            ..RecordedRequest::empty()
        });
        let (done, complete) = oneshot::channel();
        drop(
            self.state
                .spawn(read_body(Arc::clone(&self.state), index, body, done)),
        );

        let reply = match self.state.script.early(&self.state.journal.request(index)) {
            Some(reply) => reply,
            None => {
                if complete.await.is_err() {
                    return;
                }
                self.state.script.answer(&self.state.journal.request(index))
            }
        };
        if self.answer(index, &reply, &mut respond).await.is_err() {
            self.state.journal.cancelled(index);
        }
    }

    async fn answer(
        &self,
        index: usize,
        reply: &Reply,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Gone> {
        match &reply.kind {
            Kind::Silence => {
                poll_fn(|cx| respond.poll_reset(cx)).await?;
                return Err(Gone);
            }
            Kind::Raw { bytes, then_close } => {
                drop(self.wire.clone().write_all(bytes).await);
                self.state.journal.answered(index);
                if *then_close {
                    self.order(Order::Cut(CutKind::Fin));
                }
                let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
                return Ok(());
            }
            Kind::CloseBeforeHead(kind) => return self.cut_unanswered(index, *kind, respond).await,
            Kind::Answer => {}
            Kind::Made(_) => unreachable!("a reply is resolved before it is written"),
        }
        let mut sent = Amount::default();
        for piece in reply.pieces_before_head() {
            match piece {
                Piece::Interim(status, headers) => {
                    let mut interim = Response::new(());
                    *interim.status_mut() = status.try_into().expect("an interim status");
                    *interim.headers_mut() = map(headers.iter().map(|(n, v)| (n, v.as_bytes())));
                    respond.send_informational(interim)?;
                    sent.heads += 1;
                }
                Piece::Cut(kind) => {
                    self.sent.reached(respond.stream_id().as_u32(), sent).await;
                    return self.cut_unanswered(index, kind, respond).await;
                }
                other => {
                    tokio::select! {
                        () = self.wait(other) => {}
                        _ = poll_fn(|cx| respond.poll_reset(cx)) => return Err(Gone),
                    }
                }
            }
        }
        let mut head = Response::new(());
        *head.status_mut() = reply.status.try_into().expect("a status");
        *head.headers_mut() = map(reply
            .headers
            .iter()
            .map(|(name, value)| (name, value.as_slice())));
        let bodiless =
            self.state.journal.request(index).method == "HEAD" || matches!(reply.status, 204 | 304);
        if reply.framing == Framing::ContentLength
            && !matches!(reply.status, 204 | 304)
            && !head.headers().contains_key(http::header::CONTENT_LENGTH)
        {
            let length = HeaderValue::from(reply.content_length());
            head.headers_mut()
                .insert(http::header::CONTENT_LENGTH, length);
        }
        let mut stream = respond.send_response(head, bodiless)?;
        if bodiless {
            self.state.journal.answered(index);
            return Ok(());
        }
        sent.heads += 1;
        self.body(index, reply, sent, &mut stream).await
    }

    async fn body(
        &self,
        index: usize,
        reply: &Reply,
        mut sent: Amount,
        stream: &mut SendStream<Bytes>,
    ) -> Result<(), Gone> {
        let id = stream.stream_id().as_u32();
        for piece in reply.pieces() {
            let bytes = match piece {
                Piece::Data { bytes, .. } => bytes,
                Piece::Fresh(make) => make(),
                Piece::Trailers(fields) => {
                    self.flushed(id, sent, stream).await?;
                    self.state.journal.answered(index);
                    stream.send_trailers(map(fields.iter().map(|(n, v)| (n, v.as_bytes()))))?;
                    return Ok(());
                }
                Piece::Cut(kind) => {
                    self.flushed(id, sent, stream).await?;
                    self.state.journal.answered(index);
                    if let CutKind::RstStream(code) = kind {
                        stream.send_reset(Reason::from(code));
                    } else {
                        self.order(Order::Cut(kind));
                        // Dropped before its connection ends, the stream would be reset.
                        let _ = poll_fn(|cx| stream.poll_reset(cx)).await;
                    }
                    return Ok(());
                }
                other => {
                    tokio::select! {
                        () = self.wait(other) => continue,
                        _ = poll_fn(|cx| stream.poll_reset(cx)) => return Err(Gone),
                    }
                }
            };
            sent.bytes += bytes.len() as u64;
            send(stream, bytes).await?;
        }
        self.flushed(id, sent, stream).await?;
        self.state.journal.answered(index);
        stream.send_data(Bytes::new(), true)?;
        Ok(())
    }

    /// A step that only takes time.
    async fn wait(&self, piece: Piece) {
        match piece {
            Piece::Pace(time) => tokio::time::sleep(time).await,
            Piece::Hold(gate) => gate.pass().await,
            Piece::GoAway => self.order(Order::GoAway),
            Piece::Interim(..) => panic!("an interim answer is scripted after the head"),
            _ => panic!("body steps are scripted before the head"),
        }
    }

    async fn cut_unanswered(
        &self,
        index: usize,
        kind: CutKind,
        respond: &mut SendResponse<Bytes>,
    ) -> Result<(), Gone> {
        self.state.journal.answered(index);
        if let CutKind::RstStream(code) = kind {
            respond.send_reset(Reason::from(code));
        } else {
            self.order(Order::Cut(kind));
            // As in `body`.
            let _ = poll_fn(|cx| respond.poll_reset(cx)).await;
        }
        Ok(())
    }

    /// Waits until what was sent is on its way.
    async fn flushed(
        &self,
        id: u32,
        wanted: Amount,
        stream: &mut SendStream<Bytes>,
    ) -> Result<(), Gone> {
        tokio::select! {
            biased;
            () = self.sent.reached(id, wanted) => Ok(()),
            _ = poll_fn(|cx| stream.poll_reset(cx)) => Err(Gone),
        }
    }

    fn order(&self, order: Order) {
        // A connection that is over already needs no orders.
        drop(self.orders.send(order));
    }
}

/// Queues bytes as fast as the peer's windows allow.
async fn send(stream: &mut SendStream<Bytes>, mut bytes: Bytes) -> Result<(), Gone> {
    while !bytes.is_empty() {
        stream.reserve_capacity(bytes.len());
        let room = poll_fn(|cx| stream.poll_capacity(cx)).await.ok_or(Gone)??;
        stream.send_data(bytes.split_to(room.min(bytes.len())), false)?;
    }
    Ok(())
}

async fn read_body(
    state: Arc<MockState>,
    index: usize,
    mut body: RecvStream,
    done: oneshot::Sender<()>,
) {
    if !body.is_end_stream()
        && let Some(gate) = state.hold_body.clone()
    {
        gate.pass().await;
    }
    while let Some(piece) = body.data().await {
        let Ok(bytes) = piece else {
            state.journal.cancelled(index);
            return;
        };
        state.journal.body(index, &bytes);
        // The window belongs to a stream that may be gone by now.
        drop(body.flow_control().release_capacity(bytes.len()));
    }
    match body.trailers().await {
        Ok(trailers) => {
            state
                .journal
                .complete(index, trailers.as_ref().map(fields).unwrap_or_default());
            // Nobody waits for the end of a body that was answered early.
            let _ = done.send(());
        }
        Err(_) => state.journal.cancelled(index),
    }
}

fn fields(headers: &HeaderMap) -> Headers {
    headers
        .iter()
        .map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
        .collect()
}

fn map<'a>(fields: impl Iterator<Item = (&'a String, &'a [u8])>) -> HeaderMap {
    fields
        .map(|(name, value)| {
            (
                HeaderName::from_bytes(name.as_bytes()).expect("a header name fit for HTTP/2"),
                HeaderValue::from_bytes(value).expect("a header value fit for HTTP/2"),
            )
        })
        .fold(HeaderMap::new(), |mut map, (name, value)| {
            map.append(name, value);
            map
        })
}
