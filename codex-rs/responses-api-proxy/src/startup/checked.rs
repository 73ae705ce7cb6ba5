//! The first stage: everything that can be refused is refused, before the key is read.

use std::io;
use std::sync::Arc;

use anyhow::{Context, bail};
use codex_process_hardening::{
    Mitigation, User, exposure_at_start, harden, raise_descriptor_limit, tracer,
};

use crate::access::client_tokens::Tokens;
use crate::access::peer_users::{PeerUsers, PeerUsersError};
use crate::access::sock_diag::SockDiag;
use crate::access::trusted_file::TrustedFile;
use crate::access::user_namespace::stand_in_for_unmapped;
use crate::config::args::{Args, Sandbox};
use crate::config::environment;
use crate::config::{ClientTokens, Config};
use crate::lifecycle::server_info::ServerInfo;
use crate::net::activation::ActivatedSocket;
use crate::net::loopback::ReservedPort;
use crate::net::unix_socket::UnixSocket;
use crate::startup::banner::Banner;
use crate::startup::credential::{CredentialMemory, OpenSource};
use crate::startup::distinct_files;
use crate::startup::inherited::Inherited;
use crate::startup::lifetime::Lifetime;
use crate::startup::metrics::ReservedForMetrics;
use crate::startup::observation::{Observation, read_prices};
use crate::startup::require_all;
use crate::startup::sandbox::rehearse;
use crate::startup::spending::OpenSpending;
use crate::upstream::Route;

/// What is assumed where the limit of descriptors cannot be read.
const FEWEST_DESCRIPTORS: u64 = 256;

/// A process that is closed to others, with a configuration that can be carried out as far as can be told
/// without the key. Nobody can connect yet: the port is only reserved.
pub(crate) struct Checked {
    pub(crate) config: Config,
    pub(crate) mitigations: Vec<Mitigation>,
    /// How many this process may have.
    pub(crate) descriptors: u64,
    /// Whom the process is to become.
    pub(crate) user: Option<User>,
    pub(crate) clients: Clients,
    /// Whose listeners may have the key in cleartext, besides root's and our own.
    pub(crate) upstream_users: Vec<u32>,
    pub(crate) route: Route,
    pub(crate) port: Option<ReservedPort>,
    /// Sockets for callers that somebody else keeps; then there are no others.
    pub(crate) activated: Vec<ActivatedSocket>,
    pub(crate) lifetime: Lifetime,
    pub(crate) observation: Observation,
    /// `None` without a policy.
    pub(crate) spending: Option<OpenSpending>,
    pub(crate) metrics: Option<ReservedForMetrics>,
    pub(crate) source: OpenSource,
    /// Where the key is read into.
    pub(crate) memory: CredentialMemory,
    pub(crate) banner: Banner,
}

/// Who may call, and how that is told.
pub(crate) struct Clients {
    /// The kernel's table of sockets.
    pub(crate) diag: Option<Arc<SockDiag>>,
    pub(crate) users: Arc<PeerUsers>,
    pub(crate) tokens: Tokens,
    /// Where they are read from again.
    pub(crate) token_file: Option<TrustedFile>,
    /// The text of the one that was made here.
    pub(crate) generated_token: Option<String>,
}

impl Checked {
    /// # Errors
    ///
    /// Whatever keeps the proxy from starting.
    pub(crate) fn new(args: Args) -> anyhow::Result<Self> {
        // Before anything else: what others could do until here, and that it ends here.
        let exposure = exposure_at_start();
        let mut mitigations = harden();
        #[cfg(unix)]
        codex_process_hardening::ignore_file_size_signal().context("SIGXFSZ cannot be ignored")?;
        #[cfg(unix)]
        codex_process_hardening::remember_hangup().context("SIGHUP cannot be caught")?;
        let config = Config::try_from(args)?;
        // Before any other descriptor is opened, which could be taken for it.
        let mut inherited = Inherited::take(&config)?;
        let source = OpenSource::open(&config.credential)?;
        if config.sandbox == Sandbox::Require
            && let Some(exposure) = &exposure
        {
            bail!("--sandbox=require, but {exposure}");
        }
        // From here on only root can attach.
        mitigations.extend(refuse_a_tracer()?);
        let descriptors = raise_descriptor_limit().unwrap_or(FEWEST_DESCRIPTORS);

        environment::check_sudo_uid()?;
        distinct_files::check(&config)?;
        let user = config.user.as_deref().map(user_to_become).transpose()?;
        let mut sockets = std::mem::take(&mut inherited.sockets);
        let has_place = config.unix_socket.is_some() || !sockets.callers.is_empty();
        let port = config.port.or((!has_place).then_some(0));
        let has_tcp = port.is_some() || sockets.addresses().next().is_some();
        let (diag, untold) = socket_table(&config, has_tcp)?;
        let users = PeerUsers::new(&config.allow_users, &config.allow_groups, diag.clone())?;
        let stand_in = stand_in_for_unmapped().filter(|&uid| users.are_named(uid));
        let upstream_users = config
            .upstream_users
            .iter()
            .map(|user| user_number(user).context("--upstream-user"))
            .collect::<anyhow::Result<Vec<u32>>>()?;
        let becomes = user.map(User::uid);
        let (tokens, token_file, generated_token) = client_tokens(&config.client_tokens, becomes)?;
        let route = Route::to(config.upstream.clone())?;
        let port = port.map(ReservedPort::new).transpose()?;
        let own = port.as_ref().map(ReservedPort::address);
        let own = own.into_iter().chain(sockets.addresses());
        if own
            .map(|address| address.port())
            .any(|port| route.is_ourselves(port))
        {
            bail!(
                "--upstream-url is this proxy itself; name the server that requests should go to"
            );
        }
        if let Some(unix) = &config.unix_socket {
            UnixSocket::check(unix)?;
        }
        let metrics = config.metrics.as_ref().map(ReservedForMetrics::new);
        let metrics = metrics.transpose()?;
        let metrics = metrics.or(sockets.metrics.take().map(ReservedForMetrics::Activated));
        if let Some(path) = &config.server_info {
            ServerInfo::check(path, generated_token.is_some())?;
        }
        if config.sandbox == Sandbox::Require
            && let Some(mitigations) = rehearse(config.sandbox)
        {
            require_all(&mitigations)?;
        }
        let prices = config.prices.as_deref().map(read_prices).transpose()?;
        let spending = OpenSpending::open(&config, becomes, prices.as_ref(), untold.is_none())?;
        let own = spending.as_ref().and_then(OpenSpending::prices);
        let prices = match (own, prices) {
            (Some(own), Some(below)) => Some(own.over(below)),
            (own, below) => own.or(below),
        };
        let observation = Observation::open(&config, becomes, prices, metrics.is_some())?;
        let hint = inherited.hint.take();
        let lifetime = Lifetime::open(&config.lifecycle, inherited)?;
        let (memory, protection) = CredentialMemory::map(&config)?;
        let mut banner = Banner::new(protection);
        if let Some(hint) = hint {
            banner.hint(hint);
        }
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
        for port in sockets.uncovered_ports() {
            banner.warn(format_args!(
                "[::1]:{port} is not among the sockets that the proxy is started with; whoever listens there gets what \
                 clients send to localhost: add ListenStream=[::1]:{port}, or have them say 127.0.0.1"
            ));
        }
        Ok(Self {
            config,
            mitigations,
            descriptors,
            user,
            clients: Clients {
                diag,
                users: Arc::new(users),
                tokens,
                token_file,
                generated_token,
            },
            upstream_users,
            route,
            port,
            activated: sockets.callers,
            lifetime,
            observation,
            spending,
            metrics,
            source,
            memory,
            banner,
        })
    }
}

/// The key is not read while another process can look on; a mitigation if that is not known.
fn refuse_a_tracer() -> anyhow::Result<Option<Mitigation>> {
    match tracer() {
        Ok(None) => Ok(None),
        Ok(Some(pid)) => bail!(
            "process {pid} traces this one (ptrace: a debugger, strace) and could read the key; \
             start it without a tracer"
        ),
        Err(cause) => Ok(Some(Mitigation {
            name: "no tracer attached".into(),
            outcome: Err(cause),
        })),
    }
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

/// A user's number, from its name or as it stands.
fn user_number(user: &str) -> anyhow::Result<u32> {
    match user.parse() {
        Ok(uid) => Ok(uid),
        Err(_) => Ok(User::by_name(user)?.uid()),
    }
}

/// The kernel's table of sockets, or why there is none.
///
/// # Errors
///
/// When there is none, and somebody relies on knowing whose a TCP connection is.
fn socket_table(
    config: &Config,
    has_tcp: bool,
) -> anyhow::Result<(Option<Arc<SockDiag>>, Option<io::Error>)> {
    let has_names = !config.allow_users.is_empty() || !config.allow_groups.is_empty();
    let must_tell = has_names || config.limits.max_connections_per_user.is_some();
    match SockDiag::open() {
        Ok(diag) => Ok((Some(Arc::new(diag)), None)),
        Err(_) if !has_tcp => Ok((None, None)),
        Err(cause) if must_tell => Err(PeerUsersError::Kernel(cause).into()),
        Err(cause) => Ok((None, Some(cause))),
    }
}

/// The tokens that are asked for, the file to read them from again, and the text of one that was made
/// here. The file may belong to the user that the proxy becomes.
fn client_tokens(
    wanted: &ClientTokens,
    becomes: Option<u32>,
) -> anyhow::Result<(Tokens, Option<TrustedFile>, Option<String>)> {
    Ok(match wanted {
        ClientTokens::None => (Tokens::default(), None, None),
        ClientTokens::File(path) => {
            let file = TrustedFile::new(path, becomes);
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
