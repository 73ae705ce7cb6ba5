//! Writes a scripted answer in HTTP/1.

use std::io;
use std::sync::Arc;

use http::{StatusCode, Version};
use tokio::io::AsyncWriteExt;

use crate::journal::Journal;
use crate::recorded::RecordedRequest;
use crate::reply::{Kind, Reply};
use crate::script::Piece;
use crate::step::{CutKind, Framing};
use crate::wire::Wire;

/// What comes after an answer.
pub(crate) enum Then {
    /// The next request of the connection.
    Next,
    /// The end of the connection.
    End(CutKind),
}

/// The writing side of one connection.
pub(crate) struct Writer {
    pub(crate) wire: Wire,
    pub(crate) journal: Arc<Journal>,
}

impl Writer {
    /// Writes the answer; fails when the peer is gone.
    pub(crate) async fn answer(
        &mut self,
        request: &RecordedRequest,
        reply: Reply,
    ) -> io::Result<Then> {
        let then = match &reply.kind {
            Kind::Silence => std::future::pending().await,
            Kind::Raw { bytes, then_close } => {
                self.write(bytes).await?;
                if *then_close {
                    Then::End(CutKind::Fin)
                } else {
                    Then::Next
                }
            }
            Kind::CloseBeforeHead(kind) => Then::End(*kind),
            Kind::Answer => self.scripted(request, &reply).await?,
            Kind::Made(_) => unreachable!("a reply is resolved before it is written"),
        };
        self.journal.answered(request.index);
        Ok(then)
    }

    async fn scripted(&mut self, request: &RecordedRequest, reply: &Reply) -> io::Result<Then> {
        for piece in reply.pieces_before_head() {
            if let Some(kind) = self.piece(piece, false).await? {
                return Ok(Then::End(kind));
            }
        }
        let framing = match reply.framing {
            Framing::Chunked if request.version == Version::HTTP_10 => Framing::CloseDelimited,
            framing => framing,
        };
        let bodiless = request.method == "HEAD" || matches!(reply.status, 204 | 304);
        let asked_to_close = crate::answer::values(&request.headers, "connection")
            .iter()
            .any(|value| value.eq_ignore_ascii_case(b"close"));
        let close = asked_to_close
            || request.version == Version::HTTP_10
            || (framing == Framing::CloseDelimited && !bodiless);
        self.write(&head(reply, framing, bodiless, close)).await?;
        if !bodiless {
            let chunked = framing == Framing::Chunked;
            let mut trailers = Vec::new();
            for piece in reply.pieces() {
                if let Piece::Trailers(fields) = piece {
                    assert!(
                        chunked,
                        "trailers are scripted for an answer that is not chunked"
                    );
                    trailers = fields;
                } else if let Some(kind) = self.piece(piece, chunked).await? {
                    return Ok(Then::End(kind));
                }
            }
            if chunked {
                let mut last = b"0\r\n".to_vec();
                for (name, value) in trailers {
                    last.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
                }
                last.extend_from_slice(b"\r\n");
                self.write(&last).await?;
            }
        }
        Ok(if close {
            Then::End(CutKind::Fin)
        } else {
            Then::Next
        })
    }

    /// Does one step; `Some` when it is the end.
    async fn piece(&mut self, piece: Piece, chunked: bool) -> io::Result<Option<CutKind>> {
        match piece {
            Piece::Data { bytes, announced } => self.data(&bytes, announced, chunked).await?,
            Piece::Fresh(make) => {
                let bytes = make();
                self.data(&bytes, bytes.len(), chunked).await?;
            }
            Piece::Pace(time) => tokio::time::sleep(time).await,
            Piece::Hold(gate) => gate.pass().await,
            Piece::Cut(kind) => return Ok(Some(kind)),
            Piece::Interim(status, headers) => {
                let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status));
                for (name, value) in headers {
                    text.push_str(&format!("{name}: {value}\r\n"));
                }
                text.push_str("\r\n");
                self.write(text.as_bytes()).await?;
            }
            Piece::Trailers(_) => panic!("trailers are scripted before the head"),
            // HTTP/1 has no such thing; a script for both protocols may contain it.
            Piece::GoAway => {}
        }
        Ok(None)
    }

    async fn data(&mut self, bytes: &[u8], announced: usize, chunked: bool) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        if !chunked {
            return self.write(bytes).await;
        }
        let mut chunk = format!("{announced:x}\r\n").into_bytes();
        chunk.extend_from_slice(bytes);
        if bytes.len() == announced {
            chunk.extend_from_slice(b"\r\n");
        }
        self.write(&chunk).await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.wire.write_all(bytes).await?;
        self.wire.flush().await
    }
}

fn head(reply: &Reply, framing: Framing, bodiless: bool, close: bool) -> Vec<u8> {
    let phrase = reply
        .reason
        .clone()
        .unwrap_or_else(|| reason(reply.status).to_owned());
    let mut head = format!("HTTP/1.1 {} {phrase}\r\n", reply.status).into_bytes();
    for (name, value) in &reply.headers {
        head.extend_from_slice(name.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    let given = ["content-length", "transfer-encoding"]
        .iter()
        .any(|name| !crate::answer::values(&reply.headers, name).is_empty());
    // RFC 9110 section 8.6: no Content-Length in a 204; in a 304 it may only mislead.
    let silent = given || (bodiless && matches!(reply.status, 204 | 304));
    match framing {
        _ if silent => {}
        Framing::ContentLength => {
            head.extend_from_slice(
                format!("content-length: {}\r\n", reply.content_length()).as_bytes(),
            );
        }
        Framing::Chunked => head.extend_from_slice(b"transfer-encoding: chunked\r\n"),
        Framing::CloseDelimited => {}
    }
    if close {
        head.extend_from_slice(b"connection: close\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Odd")
}
