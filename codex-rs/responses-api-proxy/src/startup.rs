//! The order in which things happen, in one place, and why it is this order.

use std::io::IsTerminal;
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::Context;
use codex_process_hardening::{EchoOff, harden, take_stdin};
use codex_secret_memory::SecretPage;
use rustls::crypto::CryptoProvider;

use crate::args::Args;
use crate::config::{Config, UpstreamUrl};
use crate::forward::Credential;
use crate::read_api_key::{ApiKey, ReadKeyError, read_api_key};
use crate::report;
use crate::router::{Shared, router};
use crate::seal::{Seal, SealError, sealing_provider};
use crate::server::{Terms, serve};
use crate::server_info::ServerInfo;
use crate::shutdown::Shutdown;
use crate::upstream::Upstream;

/// How long standard input may stay silent before somebody is told.
const QUIET_STDIN: Duration = Duration::from_secs(5);

/// Runs the proxy until it is shut down.
///
/// Until the runtime is built there is one thread and one statement after the
/// other: what is refused is refused before the key is read, the process is
/// closed to others before the key is read, and the key is read before anybody
/// can connect.
///
/// # Errors
///
/// Whatever keeps the proxy from starting, with its causes. The caller prints it
/// ([`report_failure`](crate::report_failure)) and exits with 1.
pub fn run_main(args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::try_from(args)?;

    let measures = harden();
    let page = SecretPage::new(false)?;
    let protection = page.protection();
    let key = key_from_stdin(page)?;

    let (credential, provider) = sealed(key, &config.upstream)?;
    let upstream = Upstream::new(config.upstream, config.upstream_timeout, provider)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, config.port))
        .with_context(|| format!("failed to bind 127.0.0.1:{}", config.port))?;
    let address = listener.local_addr().context("the listener has no port")?;
    listener
        .set_nonblocking(true)
        .context("the listener cannot be polled")?;
    let mut server_info = config
        .server_info
        .map(|path| ServerInfo::open(&path))
        .transpose()?;

    let mut banner = vec![
        format!("responses-api-proxy listening on {address}"),
        format!("upstream: {upstream}"),
        format!("key: {protection}"),
    ];
    banner.extend(measures.into_iter().filter_map(|measure| {
        let cause = measure.outcome.err()?;
        Some(format!("not applied: {}: {cause}", measure.name))
    }));

    let shutdown = Shutdown::new();
    let shared = Shared {
        credential,
        upstream,
        max_body: config.max_body,
        shutdown: shutdown.clone(),
    };
    let terms = Terms {
        router: router(Arc::new(shared), config.http_shutdown),
        shutdown: shutdown.clone(),
        drain_timeout: config.drain_timeout,
        listen_while_draining: config.http_shutdown,
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot start")?;
    let cut = runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        // From here on a signal ends in an orderly way, so from here on there
        // may be something to tidy up.
        shutdown.listen_to_signals()?;
        if let Some(info) = &mut server_info {
            info.announce(address.port())?;
        }
        banner.iter().for_each(report::line);
        anyhow::Ok(serve(listener, terms).await)
    })?;
    // Connections that were not done, and name look-ups still running, end here.
    runtime.shutdown_background();
    if cut > 0 {
        report::line(format_args!("cut off without having finished: {cut}"));
    }
    drop(server_info);
    Ok(shutdown
        .ended_by_signal()
        .map_or(ExitCode::SUCCESS, |signal| ExitCode::from(128 + signal)))
}

/// What the request carries instead of the key, and the encryption that puts the
/// key in its place. In clear on this host there is no encryption to do that.
fn sealed(key: ApiKey, url: &UpstreamUrl) -> Result<(Credential, CryptoProvider), SealError> {
    let provider = rustls::crypto::ring::default_provider();
    if url.is_clear() {
        return Ok((Credential::new(key.header), provider));
    }
    let random = provider.secure_random;
    let seal = Seal::new(key.header, key.coded, &mut |buffer| {
        random.fill(buffer).is_ok()
    })?;
    // As long-lived as the key itself.
    let seal: &'static Seal = Box::leak(Box::new(seal));
    Ok((Credential::new(seal.placeholder()), sealing_provider(seal)))
}

/// Reads the key and closes its source.
fn key_from_stdin(page: SecretPage) -> Result<ApiKey, ReadKeyError> {
    let mut stdin = take_stdin().map_err(ReadKeyError::Read)?;
    if stdin.is_terminal() {
        report::line("Paste the API key and press Enter (it is not shown):");
        let terminal = stdin.try_clone().map_err(ReadKeyError::Read)?;
        let _hidden = EchoOff::new(&terminal).map_err(ReadKeyError::Read)?;
        return read_api_key(&mut stdin, page);
    }
    while_saying_so_if_quiet(|| read_api_key(&mut stdin, page))
}

/// Runs `read`; if it takes long, says once what is being waited for.
fn while_saying_so_if_quiet<T>(read: impl FnOnce() -> T) -> T {
    let (done, quiet) = mpsc::channel::<()>();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            if quiet.recv_timeout(QUIET_STDIN) == Err(RecvTimeoutError::Timeout) {
                report::line("waiting for the API key on stdin (one line)");
            }
        });
        let result = read();
        drop(done);
        result
    })
}
