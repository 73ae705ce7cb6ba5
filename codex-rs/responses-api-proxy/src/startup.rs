//! The order in which things happen, in one place, and why it is this order.

use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use codex_process_hardening::{User, harden, raise_descriptor_limit};
use codex_secret_memory::SecretPage;
use socket2::SockRef;

use crate::args::{Args, Sandbox};
use crate::banner::Banner;
use crate::callers::Callers;
use crate::config::{ClientTokens, Config};
use crate::confinement::confine;
use crate::credential::Credential;
use crate::door::Door;
use crate::forward::preconnect;
use crate::key_source::key_from_stdin;
use crate::listeners::Listeners;
use crate::places::Places;
use crate::report::{self, FlushAtTheEnd};
use crate::router::{Shared, router};
use crate::server::{Terms, serve};
use crate::server_info::ServerInfo;
use crate::shutdown::Shutdown;
use crate::tokens::Tokens;
use crate::unix_socket::UnixSocket;
use crate::upstream::Upstream;
use crate::workers::{self, Threads, Workers};

/// How many connections may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// What is assumed where the limit of descriptors cannot be read.
const FEWEST_DESCRIPTORS: u64 = 256;

/// Runs the proxy until it is shut down.
///
/// Until the runtime is built there is one thread and one statement after the
/// other: what is refused is refused before the key is read, the process is
/// closed to others before the key is read, the key is read before anybody can
/// connect, and everything that takes a privilege or a file is open before
/// privileges and files are given up.
///
/// # Errors
///
/// Whatever keeps the proxy from starting, with its causes. The caller prints it
/// ([`report_failure`](crate::report_failure)) and exits with 1.
pub fn run_main(args: Args) -> anyhow::Result<ExitCode> {
    report::panics_without_payload();
    let _flush = FlushAtTheEnd;
    let config = Config::try_from(args)?;
    let mut measures = harden();
    let descriptors = raise_descriptor_limit().unwrap_or(FEWEST_DESCRIPTORS);

    let user = config.user.as_deref().map(User::by_name).transpose()?;
    let limits = config.limits;
    let callers = Callers::new(
        &config.allow_users,
        &config.allow_groups,
        limits.max_connections_per_user.is_some(),
    )?;
    let (tokens, client_token) = client_tokens(&config.client_tokens)?;
    let token_file = match &config.client_tokens {
        ClientTokens::File(file) => Some(file.clone()),
        ClientTokens::None | ClientTokens::Generated => None,
    };
    let page = SecretPage::new(config.allow_unlocked_key)?;
    let mut banner = Banner::new(&page);
    let key = key_from_stdin(page)?;

    let (credential, provider) = Credential::new(key, &config.upstream)?;
    credential.keep_out_of_text()?;
    let upstream = Upstream::new(config.upstream, config.upstream_timeout, provider)?;
    let tcp = config.port.map(listen_on).transpose()?;
    let address = tcp.as_ref().map(TcpListener::local_addr).transpose()?;
    let unix = config
        .unix_socket
        .as_ref()
        .map(UnixSocket::bind)
        .transpose()?;
    let (unix, unix_socket) = unix.unzip();
    let socket = unix_socket.as_ref().map(UnixSocket::path);
    if address.is_some_and(|address| upstream.is_ourselves(address.port())) {
        bail!("--upstream-url is this proxy itself; name the server that requests should go to");
    }
    let mut server_info = config
        .server_info
        .map(|path| ServerInfo::open(&path, client_token.is_some()))
        .transpose()?;
    // Asks the files of /proc and /sys that are about to be out of reach.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);

    if let (Some(user), Some(name)) = (user, &config.user) {
        user.become_for_good()
            .with_context(|| format!("cannot become the user {name} (--user needs root)"))?;
    }
    measures.extend(confine(
        config.sandbox,
        &upstream,
        server_info.as_ref(),
        socket,
        token_file.as_deref(),
    ));
    // A thread is as confined as the one that starts it.
    report::write_in_background();
    if config.sandbox == Sandbox::Require
        && let Some(missing) = measures.iter().find(|measure| measure.outcome.is_err())
    {
        bail!("--sandbox=require, but {missing}");
    }
    if let Some(file) = &token_file
        && let Err(error) = tokens.reload(file)
    {
        banner.warn(format_args!(
            "{:#}; SIGHUP will not find it either",
            anyhow::Error::from(error)
        ));
    }
    let wanted = config.threads.unwrap_or(processors);
    let (others, descriptors) = workers::affordable(wanted, descriptors);
    if config.threads.is_some_and(|wanted| wanted > others + 1) {
        banner.warn(format_args!(
            "{} threads serve, not {wanted}: there are too few descriptors (ulimit -n)",
            others + 1
        ));
    }
    banner.describe(&upstream, &callers, &tokens, config.sandbox, &measures);

    let shutdown = Shutdown::new();
    let shared = Arc::new(Shared {
        credential,
        upstream,
        limits,
        places: Places::new(limits.max_requests),
        tokens: tokens.clone(),
        shutdown: shutdown.clone(),
    });
    let routers = (0..others)
        .map(|_| {
            let shared = Shared {
                upstream: shared.upstream.another()?,
                ..Shared::clone(&shared)
            };
            anyhow::Ok(router(Arc::new(shared), config.http_shutdown))
        })
        .collect::<anyhow::Result<_>>()?;
    let threads = Threads::start(others).context("a thread cannot start")?;
    let terms = Terms {
        workers: Workers::new(
            router(Arc::clone(&shared), config.http_shutdown),
            &threads,
            routers,
        ),
        shutdown: shutdown.clone(),
        door: Arc::new(Door::new(
            limits.max_connections,
            limits.max_connections_per_user,
            descriptors,
        )),
        callers,
        header_timeout: limits.header_timeout,
        drain_timeout: config.drain_timeout,
        listen_while_draining: config.http_shutdown,
    };
    let runtime = workers::runtime().context("the runtime cannot start")?;
    let cut = runtime.block_on(async {
        let listeners = Listeners::new(tcp, unix)?;
        // From here on a signal ends in an orderly way, so from here on there
        // may be something to tidy up.
        shutdown.listen_to_signals()?;
        if let Some(file) = token_file {
            tokens.reload_on_hangup(file)?;
        }
        if let Some(info) = &mut server_info {
            let port = address.map(|address| address.port());
            info.announce(port, socket, client_token.as_deref())?;
        }
        banner.print(address, socket);
        if config.preconnect {
            tokio::spawn(async move {
                let Shared {
                    credential,
                    upstream,
                    limits,
                    ..
                } = &*shared;
                preconnect(*credential, upstream, limits).await;
            });
        }
        anyhow::Ok(serve(listeners, terms).await)
    })?;
    // Connections that were not done, and name look-ups still running, end here.
    runtime.shutdown_background();
    threads.end();
    if cut > 0 {
        report::line(format_args!("cut off without having finished: {cut}"));
    }
    drop(server_info);
    drop(unix_socket);
    Ok(shutdown
        .ended_by_signal()
        .map_or(ExitCode::SUCCESS, |signal| ExitCode::from(128 + signal)))
}

fn listen_on(port: u16) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
        .with_context(|| format!("failed to bind 127.0.0.1:{port}"))?;
    // The standard library asks for 128, and whoever comes to a full queue is told
    // nothing and tries again a second later (listen(2)).
    SockRef::from(&listener)
        .listen(BACKLOG)
        .context("the listener cannot have a longer queue")?;
    listener
        .set_nonblocking(true)
        .context("the listener cannot be polled")?;
    Ok(listener)
}

/// The tokens that are asked for, and the text of one that was made here.
fn client_tokens(wanted: &ClientTokens) -> anyhow::Result<(Tokens, Option<String>)> {
    Ok(match wanted {
        ClientTokens::None => (Tokens::default(), None),
        ClientTokens::File(file) => (Tokens::from_file(file)?, None),
        ClientTokens::Generated => {
            let random = rustls::crypto::ring::default_provider().secure_random;
            let (tokens, text) = Tokens::generate(&|buffer| random.fill(buffer).is_ok())
                .context("no randomness for a client token")?;
            (tokens, Some(text))
        }
    })
}
