//! The order in which things happen, in one place, and why it is this order.

pub(crate) mod banner;
pub(crate) mod exposed_key;
pub(crate) mod sandbox;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use codex_process_hardening::{
    Measure, User, exposure_at_start, harden, raise_descriptor_limit, tracer,
};
use codex_secret_memory::SecretPage;

use crate::access::client_tokens::Tokens;
use crate::access::peer_users::{PeerUsers, PeerUsersError};
use crate::access::request_limit::RequestLimit;
use crate::access::sock_diag::SockDiag;
use crate::access::token_file::TokenFile;
use crate::access::user_namespace::stand_in_for_unmapped;
use crate::config::args::{Args, Sandbox};
use crate::config::environment;
use crate::config::{ClientTokens, Config};
use crate::credential::Credential;
use crate::credential::source::key_from_stdin;
use crate::downstream::accept::{Terms, serve};
use crate::downstream::connection_limit::ConnectionLimit;
use crate::downstream::workers::{self, Threads, Workers};
use crate::forward::preconnect;
use crate::forward::router::{Shared, router};
use crate::lifecycle::server_info::ServerInfo;
use crate::lifecycle::shutdown::Shutdown;
use crate::net::listeners::Listeners;
use crate::net::loopback::ReservedPort;
use crate::net::unix_socket::UnixSocket;
use crate::observe::stderr::{self, FlushAtTheEnd};
use crate::startup::banner::Banner;
use crate::startup::exposed_key::keepers;
use crate::startup::sandbox::{confine, confine_resolver, may_be_replaced, rehearse};
use crate::upstream::{ListenerOwner, Resolver, Route, Upstream};

/// Upstream connections that nothing uses, on each thread, at most.
const MAX_IDLE: usize = 256;

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
    stderr::panics_without_payload();
    let _flush = FlushAtTheEnd;
    // Before anything else: what others could do until here, and that it ends here.
    let exposure = exposure_at_start();
    let mut measures = harden();
    let config = Config::try_from(args)?;
    if config.sandbox == Sandbox::Require
        && let Some(exposure) = &exposure
    {
        bail!("--sandbox=require, but {exposure}");
    }
    // From here on only root can attach.
    measures.extend(refuse_a_tracer()?);
    let descriptors = raise_descriptor_limit().unwrap_or(FEWEST_DESCRIPTORS);

    environment::check_sudo_uid()?;
    let user = config.user.as_deref().map(user_to_become).transpose()?;
    let limits = config.limits;
    let (diag, untold) = socket_table(&config)?;
    let callers = PeerUsers::new(&config.allow_users, &config.allow_groups, diag.clone())?;
    let stand_in = stand_in_for_unmapped().filter(|&uid| callers.are_named(uid));
    let upstream_users = config
        .upstream_users
        .iter()
        .map(|user| user_number(user).context("--upstream-user"))
        .collect::<anyhow::Result<Vec<u32>>>()?;
    let becomes = user.map(User::uid);
    let (tokens, token_file, client_token) = client_tokens(&config.client_tokens, becomes)?;
    let mut route = Route::to(config.upstream.clone())?;
    let port = config.port.map(ReservedPort::new).transpose()?;
    let address = port.as_ref().map(ReservedPort::address);
    if address.is_some_and(|address| route.is_ourselves(address.port())) {
        bail!("--upstream-url is this proxy itself; name the server that requests should go to");
    }
    if let Some(unix) = &config.unix_socket {
        UnixSocket::check(unix)?;
    }
    if let Some(path) = &config.server_info {
        ServerInfo::check(path, client_token.is_some())?;
    }
    if config.sandbox == Sandbox::Require
        && let Some(measures) = rehearse(config.sandbox)
    {
        require_all(&measures)?;
    }
    let page = SecretPage::new(config.allow_unlocked_key).context(
        "no safe place for the key (--allow-unlocked-key starts with one that can be swapped out)",
    )?;
    let mut banner = Banner::new(&page);
    if let Some(whole) = config.upstream.if_it_is_a_base() {
        banner.hint(format_args!(
            "requests go to the upstream URL as it stands; if it is the base URL of an API, write \
             --upstream-url {whole}"
        ));
    }
    if let Some(cause) = untold {
        banner.warn(format_args!(
            "the kernel does not say whose a connection is ({cause}): users are not told \
             apart, and one of them can take the room of all"
        ));
    }
    if let Some(uid) = stand_in {
        banner.warn(format_args!(
            "in this user namespace the user {uid} stands for every user of the host that it \
             does not map, and all of them may call; name another user, or ask for client \
             tokens (user_namespaces(7))"
        ));
    }
    if let Some(exposure) = exposure {
        banner.warn(exposure);
    }
    if let Some(warning) = port.as_ref().and_then(ReservedPort::warning) {
        banner.warn(warning);
    }

    // Whatever could be refused without the key has been.
    let key = key_from_stdin(page)?;
    warn_of_copies(key.secret(), &mut banner);
    let (credential, provider) = Credential::new(key, &config.upstream)?;
    credential.keep_out_of_text()?;
    route.encrypt_by(provider)?;
    let tcp = port.map(ReservedPort::listen).transpose()?;
    let unix = config
        .unix_socket
        .as_ref()
        .map(UnixSocket::bind)
        .transpose()?;
    let (unix, unix_socket) = unix.unzip();
    let socket = unix_socket.as_ref().map(UnixSocket::path);
    let mut server_info = config
        .server_info
        .map(|path| ServerInfo::open(&path, client_token.is_some()))
        .transpose()?;
    if let Some(replaceable) = server_info.as_ref().and_then(ServerInfo::replaceable) {
        banner.warn(replaceable);
    }
    // Asks the files of /proc and /sys that are about to be out of reach.
    let processors = std::thread::available_parallelism().map_or(1, usize::from);

    if let (Some(user), Some(name)) = (user, &config.user) {
        user.become_for_good()
            .with_context(|| format!("cannot become the user {name} (--user needs root)"))?;
        warn_of_what_stays(server_info.as_ref(), unix_socket.as_ref(), &mut banner);
    }
    if let Some(file) = token_file.as_ref().map(TokenFile::path)
        && config.sandbox != Sandbox::Off
        && !may_be_replaced(file)
    {
        banner.hint(format_args!(
            "SIGHUP reads --client-token-file {} again if it is rewritten in place; a new file in its \
             place is found only where the file is alone in a directory of its own",
            file.display()
        ));
    }
    let resolver = if route.first_hop.is_name {
        let mode = config.sandbox;
        let (resolver, confined) = Resolver::start(move || confine_resolver(mode))
            .context("the thread that looks up names cannot start (ulimit -u)")?;
        let is_missing = |measure: &Measure| measure.outcome.is_err();
        measures.extend(confined.into_iter().filter(is_missing));
        resolver
    } else {
        Resolver::absent()
    };
    measures.extend(confine(
        config.sandbox,
        &route,
        server_info.as_ref(),
        unix_socket.as_ref(),
        token_file.as_ref().map(TokenFile::path),
    ));
    // A thread is as confined as the one that starts it.
    stderr::write_in_background();
    if config.sandbox == Sandbox::Require {
        require_all(&measures)?;
    }
    if let Some(file) = &token_file
        && let Err(error) = tokens.reload(file)
    {
        banner.warn(format_args!(
            "{:#}; SIGHUP will not find it either",
            anyhow::Error::from(error)
        ));
    }
    // From here on threads are started, and each has the sandbox that the process has.
    if route.is_clear() {
        let owner = listener_owner(&route, &upstream_users, diag)?;
        route.allow_listener_of(owner);
    }
    let wanted = config.threads.unwrap_or(processors);
    let (others, descriptors) = workers::affordable(wanted, descriptors);
    if config.threads.is_some_and(|wanted| wanted > others + 1) {
        banner.warn(format_args!(
            "{} threads serve, not {wanted}: there are too few descriptors (ulimit -n)",
            others + 1
        ));
    }
    let upstream = Arc::new(Upstream::new(
        config.upstream,
        config.upstream_timeout,
        route.connector(resolver)?,
        max_idle(descriptors),
    )?);
    banner.describe(&route, &callers, &tokens, config.sandbox, &measures);

    let shutdown = Shutdown::new();
    let shared = Arc::new(Shared {
        credential,
        upstream,
        limits,
        request_limit: RequestLimit::new(limits.max_requests),
        tokens: tokens.clone(),
        shutdown: shutdown.clone(),
    });
    let routers = (0..others)
        .map(|_| {
            let shared = Shared {
                upstream: Arc::new(shared.upstream.another()),
                ..Shared::clone(&shared)
            };
            router(Arc::new(shared), config.http_shutdown)
        })
        .collect();
    let threads =
        Threads::start(others).context("a thread cannot start (ulimit -u, or fewer --threads)")?;
    let terms = Terms {
        workers: Workers::new(
            router(Arc::clone(&shared), config.http_shutdown),
            &threads,
            routers,
        ),
        shutdown: shutdown.clone(),
        limit: Arc::new(ConnectionLimit::new(
            limits.max_connections,
            limits.max_connections_per_user,
            descriptors,
        )),
        callers: Arc::new(callers),
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
                    request_limit,
                    ..
                } = &*shared;
                preconnect(*credential, upstream, limits, request_limit).await;
            });
        }
        anyhow::Ok(serve(listeners, terms).await)
    })?;
    // Connections that were not done, and name look-ups still running, end here.
    runtime.shutdown_background();
    threads.end();
    if cut > 0 {
        stderr::line(format_args!("cut off without having finished: {cut}"));
    }
    drop(server_info);
    // Elsewhere there is none.
    #[cfg(unix)]
    drop(unix_socket);
    Ok(shutdown
        .ended_by_signal()
        .map_or(ExitCode::SUCCESS, |signal| ExitCode::from(128 + signal)))
}

/// How many upstream connections that nothing uses are kept on each thread.
fn max_idle(descriptors: u64) -> usize {
    usize::try_from(descriptors / 16).map_or(MAX_IDLE, |share| share.min(MAX_IDLE))
}

/// The user that `--user` names.
fn user_to_become(name: &str) -> anyhow::Result<User> {
    let user = User::by_name(name).context("--user")?;
    #[cfg(unix)]
    if !rustix::process::geteuid().is_root() {
        bail!("cannot become the user {name} (--user needs root)");
    }
    Ok(user)
}

/// # Errors
///
/// The first measure that could not be had.
fn require_all(measures: &[Measure]) -> anyhow::Result<()> {
    match measures.iter().find(|measure| measure.outcome.is_err()) {
        Some(missing) => bail!("--sandbox=require, but {missing}"),
        None => Ok(()),
    }
}

/// Of copies of the key outside, made on its way here.
fn warn_of_copies(key: &[u8], banner: &mut Banner) {
    for name in environment::holding(key) {
        banner.warn_of_variable(&name);
    }
    for name in environment::OF_A_KEY {
        if environment::path(name).is_some() {
            banner.warn_of_variable(name);
        }
    }
    for keeper in keepers(key) {
        banner.warn(keeper);
    }
}

/// Of files that were made as root, in directories that the proxy's user may not write.
fn warn_of_what_stays(
    server_info: Option<&ServerInfo>,
    socket: Option<&UnixSocket>,
    banner: &mut Banner,
) {
    if let Some(socket) = socket.filter(|socket| !socket.is_removable()) {
        banner.hint(format_args!(
            "unix:{} stays behind at the end, refusing connections, because the user of --user may not \
             write its directory; the next start by root takes its place",
            socket.path().display()
        ));
    }
    if let Some(info) = server_info.filter(|info| !info.is_removable()) {
        banner.hint(format_args!(
            "{} is emptied at the end and not removed, because the user of --user may not write its \
             directory",
            info.path().display()
        ));
    }
}

/// A user's number, from its name or as it stands.
fn user_number(user: &str) -> anyhow::Result<u32> {
    match user.parse() {
        Ok(uid) => Ok(uid),
        Err(_) => Ok(User::by_name(user)?.uid()),
    }
}

/// Whose listeners may have the key in cleartext: asked for once we are the user that we stay.
///
/// # Errors
///
/// When the kernel should tell whose a listener is, and does not.
fn listener_owner(
    route: &Route,
    others: &[u32],
    diag: Option<Arc<SockDiag>>,
) -> anyhow::Result<ListenerOwner> {
    if cfg!(target_os = "linux") && diag.is_none() && !route.first_hop.is_socket {
        bail!(
            "the kernel does not tell whose listener the upstream is, and the key would go to it in \
             cleartext; use an https upstream, or one on a Unix socket (--upstream-url unix:/PATH)"
        );
    }
    #[cfg(unix)]
    let own = rustix::process::geteuid().as_raw();
    #[cfg(not(unix))]
    let own = 0;
    Ok(ListenerOwner::new(own, others, diag))
}

/// The kernel's table of sockets, or why there is none.
///
/// # Errors
///
/// When there is none, and somebody relies on knowing whose a TCP connection is.
fn socket_table(config: &Config) -> anyhow::Result<(Option<Arc<SockDiag>>, Option<io::Error>)> {
    let has_names = !config.allow_users.is_empty() || !config.allow_groups.is_empty();
    let must_tell = has_names || config.limits.max_connections_per_user.is_some();
    match SockDiag::open() {
        Ok(diag) => Ok((Some(Arc::new(diag)), None)),
        Err(_) if config.port.is_none() => Ok((None, None)),
        Err(cause) if must_tell => Err(PeerUsersError::Kernel(cause).into()),
        Err(cause) => Ok((None, Some(cause))),
    }
}

/// The key is not read while another process can look on; a measure if that is not known.
fn refuse_a_tracer() -> anyhow::Result<Option<Measure>> {
    match tracer() {
        Ok(None) => Ok(None),
        Ok(Some(pid)) => bail!(
            "process {pid} traces this one (ptrace: a debugger, strace) and could read the key; \
             start it without a tracer"
        ),
        Err(cause) => Ok(Some(Measure {
            name: "no tracer attached".into(),
            outcome: Err(cause),
        })),
    }
}

/// The tokens that are asked for, the file to read them from again, and the text of one that was made
/// here. The file may belong to the user that the proxy becomes.
fn client_tokens(
    wanted: &ClientTokens,
    becomes: Option<u32>,
) -> anyhow::Result<(Tokens, Option<TokenFile>, Option<String>)> {
    Ok(match wanted {
        ClientTokens::None => (Tokens::default(), None, None),
        ClientTokens::File(path) => {
            let file = TokenFile::new(path, becomes);
            (Tokens::from_file(&file)?, Some(file), None)
        }
        ClientTokens::Generated => {
            let random = rustls::crypto::ring::default_provider().secure_random;
            let (tokens, text) = Tokens::generate(&|buffer| random.fill(buffer).is_ok())
                .context("no randomness for a client token")?;
            (tokens, None, Some(text))
        }
    })
}
