//! A mock upstream in a process of its own, as cheap as can be: what it costs, it costs every
//! contestant alike, on the same cores.
//!
//! It says on standard output what it sees, a line each, and ends with its standard input:
//!
//! - `listening PORT`
//! - `gone NUMBER NANOSECONDS`: the caller of that job is gone, noticed at that time ([`crate::clock`])
//! - `seen H1 H2 STRANGERS`, when asked by an empty line: connections so far, and how many requests
//!   came without the key
//! - `fault WHAT`

mod answers;
mod h1;
mod h2;
mod tls;

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio_rustls::TlsAcceptor;

use self::answers::Answers;
use crate::clock::now_ns;

/// The key that every request has to arrive with.
pub(crate) const KEY: &str = "sk-benchmark-0123456789abcdefghijklmnopqrstuvwxyz0123456789";

/// A queue that takes all streams of a scenario at once.
const BACKLOG: u32 = 8192;

/// The upstream that the scenarios are played in front of
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Args {
    /// Listen on this address
    #[arg(long, value_name = "IP", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// Speak TLS, HTTP/2 if the caller wants it, and write the authority to trust to this file
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
    /// What the kernel keeps of what a caller does not read [default: as much as it likes]
    #[arg(long, value_name = "BYTES")]
    send_buffer: Option<u32>,
    /// How many HTTP/2 streams a connection may have at once
    #[arg(long, value_name = "N", default_value_t = 100)]
    max_concurrent_streams: u32,
}

/// What all connections share.
struct Shared {
    answers: Answers,
    max_concurrent_streams: u32,
    h1: AtomicU64,
    h2: AtomicU64,
    strangers: AtomicU64,
}

impl Shared {
    fn judge(&self, authorization: Option<&[u8]>) {
        let key = authorization.and_then(|value| value.strip_prefix(b"Bearer "));
        if key != Some(KEY.as_bytes()) {
            self.strangers.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn gone(&self, number: u32) {
        say(format_args!("gone {number} {}", now_ns()));
    }
}

/// One line on standard output; whoever reads it may be gone, and then nobody is interested.
fn say(line: std::fmt::Arguments<'_>) {
    let mut out = std::io::stdout().lock();
    drop(writeln!(out, "{line}").and_then(|()| out.flush()));
}

/// Serves until standard input ends.
///
/// # Errors
/// When it cannot listen or write its certificate.
pub(crate) fn run(args: Args) -> Result<()> {
    crate::process::raise_descriptor_limit();
    let acceptor = args
        .tls
        .map(|file| tls::acceptor(&file, args.listen))
        .transpose()?;
    let shared = Arc::new(Shared {
        answers: Answers::default(),
        max_concurrent_streams: args.max_concurrent_streams,
        h1: AtomicU64::new(0),
        h2: AtomicU64::new(0),
        strangers: AtomicU64::new(0),
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the upstream's runtime")?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        // Connections that are accepted have it from there.
        if let Some(size) = args.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        socket.bind((args.listen, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        say(format_args!("listening {}", listener.local_addr()?.port()));
        tokio::select! {
            () = accept(&listener, acceptor.as_ref(), &shared) => {}
            () = answer_questions(&shared) => {}
        }
        Ok(())
    })
}

async fn accept(listener: &TcpListener, acceptor: Option<&TlsAcceptor>, shared: &Arc<Shared>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let acceptor = acceptor.cloned();
                tokio::spawn(serve(stream, acceptor, Arc::clone(shared)));
            }
            Err(error) => {
                say(format_args!("fault accept: {error}"));
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
    }
}

/// One connection until it ends; that it ends in an error is how most callers leave.
async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, shared: Arc<Shared>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let Some(acceptor) = acceptor else {
        shared.h1.fetch_add(1, Ordering::Relaxed);
        return h1::serve(stream, &shared).await;
    };
    // Whoever does not trust the certificate says so itself; others may just have changed their mind.
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        shared.h2.fetch_add(1, Ordering::Relaxed);
        h2::serve(stream, shared).await;
    } else {
        shared.h1.fetch_add(1, Ordering::Relaxed);
        h1::serve(stream, &shared).await;
    }
}

/// Says what was seen for each line of standard input, until it ends.
async fn answer_questions(shared: &Shared) {
    let (ask, mut asked) = tokio::sync::mpsc::unbounded_channel();
    std::thread::spawn(move || {
        #[expect(clippy::disallowed_methods, reason = "no key comes this way")]
        let lines = std::io::stdin().lines();
        for _line in lines.map_while(Result::ok) {
            if ask.send(()).is_err() {
                return;
            }
        }
    });
    while asked.recv().await.is_some() {
        say(format_args!(
            "seen {} {} {}",
            shared.h1.load(Ordering::Relaxed),
            shared.h2.load(Ordering::Relaxed),
            shared.strangers.load(Ordering::Relaxed),
        ));
    }
}
