//! HTTP/2: one task for the connection, one for each stream.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, SendStream};
use http::{Method, Request, Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{MissedTickBehavior, interval_at, sleep};

use super::answers::{stamped, stamped_now};
use super::h1::next;
use super::{Shared, say};
use crate::clock::now_ns;
use crate::job::{Job, SHORTEST_BODY};

/// Request bodies never wait for a window, in bytes.
const WINDOW: u32 = 16 << 20;

/// Serves a connection until its end.
pub(super) async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, shared: Arc<Shared>) {
    let mut builder = h2::server::Builder::new();
    builder
        .max_concurrent_streams(shared.max_concurrent_streams)
        .initial_window_size(WINDOW)
        .initial_connection_window_size(WINDOW);
    // A caller that opens several connections at once may drop all but one of them here.
    let Ok(mut connection) = builder.handshake(stream).await else {
        return;
    };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let (arrived, shared) = (now_ns(), Arc::clone(&shared));
        tokio::spawn(async move {
            // A stream that ends in an error is one whose caller has left.
            drop(exchange(request, respond, arrived, &shared).await);
        });
    }
}

async fn exchange(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    arrived: u64,
    shared: &Shared,
) -> Result<()> {
    let mut response = Response::new(());
    if request.method() != Method::POST {
        *response.status_mut() = StatusCode::FORBIDDEN;
        respond.send_response(response, true)?;
        return Ok(());
    }
    let authorization = request.headers().get("authorization");
    shared.judge(authorization.map(|value| value.as_bytes()));
    let Some(job) = read(request.into_body()).await? else {
        say(format_args!("fault a body without a job"));
        bail!("a body without a job");
    };
    let headers = response.headers_mut();
    headers.insert(
        "content-type",
        http::HeaderValue::from_static("text/event-stream"),
    );
    headers.insert("cache-control", http::HeaderValue::from_static("no-cache"));
    let mut body = respond.send_response(response, false)?;
    answer(job, &mut body, arrived, shared).await
}

/// Reads a body to its end and says what it asked for.
async fn read(mut body: RecvStream) -> Result<Option<Job>> {
    let mut first = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        if first.len() < SHORTEST_BODY {
            first.extend_from_slice(&data);
        }
        body.flow_control().release_capacity(data.len())?;
    }
    Ok(Job::parse(&first))
}

async fn answer(
    job: Job,
    body: &mut SendStream<Bytes>,
    arrived: u64,
    shared: &Shared,
) -> Result<()> {
    match job {
        Job::AtOnce { events, size } => {
            let answer = shared.answers.get(events, size);
            for _ in 0..answer.before_last {
                if answer.whole.is_none() {
                    wait_for_room(body, answer.event.len()).await?;
                }
                body.send_data(answer.event.clone(), false)?;
            }
            body.send_data(answer.last, false)?;
        }
        Job::OneByOne { events, size } => {
            let event = shared.answers.get(events, size).event;
            for _ in 0..events {
                body.send_data(event.clone(), false)?;
                tokio::task::yield_now().await;
            }
        }
        Job::Ticks {
            number,
            period,
            phase,
        } => {
            let gone = tick(body, period, phase).await;
            shared.gone(number);
            return gone;
        }
        Job::Silent { number } => {
            body.send_data(stamped_now(), false)?;
            let gone = poll_fn(|cx| body.poll_reset(cx)).await;
            shared.gone(number);
            bail!("left: {gone:?}");
        }
        Job::Late { hold } => {
            body.send_data(stamped(arrived), false)?;
            sleep(Duration::from_millis(hold.into())).await;
        }
    }
    body.send_data(Bytes::new(), true)?;
    Ok(())
}

/// Large answers wait for the caller; small ones fit its window anyway.
async fn wait_for_room(body: &mut SendStream<Bytes>, size: usize) -> Result<()> {
    body.reserve_capacity(size);
    while body.capacity() < size {
        if poll_fn(|cx| body.poll_capacity(cx))
            .await
            .transpose()?
            .is_none()
        {
            bail!("the stream is closed");
        }
    }
    Ok(())
}

/// Writes stamped events until the caller goes, which is the error returned.
async fn tick(body: &mut SendStream<Bytes>, period: u32, phase: u32) -> Result<()> {
    let mut ticks = interval_at(next(period, phase), Duration::from_millis(period.into()));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            biased;
            gone = poll_fn(|cx| body.poll_reset(cx)) => bail!("left: {gone:?}"),
            _ = ticks.tick() => {}
        }
        body.send_data(stamped_now(), false)?;
    }
}
