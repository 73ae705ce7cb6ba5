//! The second stage: the key is read, everything that takes a privilege or a file is opened, and then privileges
//! and files are given up.

use std::path::Path;

use anyhow::Context;
use codex_process_hardening::Mitigation;

use crate::access::spending::Spending;
use crate::access::trusted_file::TrustedFile;
use crate::config::args::Sandbox;
use crate::config::{Config, environment};
use crate::credential::Credential;
use crate::credential::reload_requests::ReloadRequests;
use crate::lifecycle::server_info::ServerInfo;
use crate::net::unix_socket::UnixSocket;
use crate::observe::stderr;
use crate::startup::banner::Banner;
use crate::startup::checked::{Checked, Clients};
use crate::startup::control::{ControlBound, ReservedForControl};
use crate::startup::credential::FirstCredential;
use crate::startup::exposed_key::processes_holding;
use crate::startup::lifetime::Lifetime;
use crate::startup::listening::Listening;
use crate::startup::metrics::{MetricsBound, ReservedForMetrics};
use crate::startup::observation::Observing;
use crate::startup::replaceable_file::may_be_replaced;
use crate::startup::require_all;
use crate::startup::sandbox::{confine, confine_resolver};
use crate::startup::spending::{Charging, OpenSpending, Reload};
use crate::upstream::{Resolver, Route};

/// A process that holds the key, can be connected to, and is in the sandbox. Beside its first thread it has
/// those for names, standard error, logs and records.
pub(crate) struct Confined {
    pub(crate) config: Config,
    pub(crate) credential: Credential,
    pub(crate) route: Route,
    pub(crate) resolver: Resolver,
    pub(crate) clients: Clients,
    pub(crate) upstream_users: Vec<u32>,
    pub(crate) listening: Listening,
    /// The file of our own Unix socket, removed with this.
    pub(crate) unix_socket: Option<UnixSocket>,
    pub(crate) lifetime: Lifetime,
    /// Where it is asked that the key be read again, if it can be.
    pub(crate) key_reload: Option<&'static ReloadRequests>,
    pub(crate) server_info: Option<ServerInfo>,
    pub(crate) observing: Observing,
    /// `None` without a policy.
    pub(crate) spending: Option<(Spending, Charging, Option<Reload>)>,
    pub(crate) metrics: Option<MetricsBound>,
    pub(crate) control: Option<ControlBound>,
    pub(crate) mitigations: Vec<Mitigation>,
    pub(crate) descriptors: u64,
    /// How many this process may use.
    pub(crate) processors: usize,
    pub(crate) banner: Banner,
}

impl Checked {
    /// Reads the key, and goes into the sandbox.
    ///
    /// # Errors
    ///
    /// No key, or a bad one; whatever cannot be opened or given up.
    pub(crate) fn confine(self, called_as: &[&str]) -> anyhow::Result<Confined> {
        let Self {
            config,
            mut mitigations,
            descriptors,
            user,
            clients,
            upstream_users,
            mut route,
            port,
            activated,
            mut lifetime,
            observation,
            mut spending,
            metrics,
            control,
            source,
            memory,
            mut banner,
        } = self;
        let has_names = route.first_hop.is_name
            || source.has_names()
            || spending.as_ref().is_some_and(OpenSpending::has_name);
        let first = FirstCredential::read(source, memory, &config, called_as, |key| {
            warn_of_copies(key, &mut banner);
        })?;
        let FirstCredential {
            credential,
            provider,
            renewal,
            source,
            reload: key_reload,
        } = first;
        lifetime.begin()?;
        if let Some(source) = source {
            banner.credential_from(source);
        }
        credential.keep_out_of_text()?;
        route.encrypt_by(provider)?;
        let unix = config.unix_socket.as_ref().map(UnixSocket::bind);
        let (unix, unix_socket) = unix.transpose()?.unzip();
        let metrics = metrics.map(ReservedForMetrics::listen).transpose()?;
        let metrics_socket = metrics
            .as_ref()
            .and_then(|bound| bound.unix_socket.as_ref());
        let control = control.map(ReservedForControl::listen).transpose()?;
        let control_socket = control
            .as_ref()
            .and_then(|bound| bound.unix_socket.as_ref());
        // Those that somebody else has made are not among them.
        let sockets = unix_socket.iter().chain(metrics_socket);
        let sockets: Vec<&UnixSocket> = sockets.chain(control_socket).collect();
        let is_private = clients.generated_token.is_some();
        let server_info = config
            .server_info
            .as_ref()
            .map(|path| ServerInfo::open(path, is_private))
            .transpose()?;
        if let Some(warning) = server_info.as_ref().and_then(ServerInfo::warning) {
            banner.warn(warning);
        }
        // Asks the files of /proc and /sys that are about to be out of reach.
        let processors = std::thread::available_parallelism().map_or(1, usize::from);

        if let (Some(user), Some(name)) = (user, &config.user) {
            user.drop_privileges_to()
                .with_context(|| format!("cannot become the user {name} (--user needs root)"))?;
            warn_of_what_stays(server_info.as_ref(), &sockets, &mut banner);
        }
        observation.warn(&mut banner);
        if let Some(spending) = &spending {
            spending.warn(&mut banner);
        }
        let fleet = spending.as_mut().and_then(OpenSpending::take_fleet);
        let files = [
            (
                "--client-token-file",
                clients.token_file.as_ref().map(TrustedFile::path),
            ),
            ("--policy", spending.as_ref().and_then(OpenSpending::file)),
        ];
        let read_again: Vec<&Path> = files.iter().filter_map(|&(_, file)| file).collect();
        for (flag, file) in files {
            if let Some(file) = file
                && config.sandbox != Sandbox::Off
                && !may_be_replaced(file)
            {
                banner.hint(format_args!(
                    "SIGHUP reads {flag} {} again if it is rewritten in place; a new file in its place is found \
                     only where the file is alone in its directory, or beside files of root's that everybody may read",
                    file.display()
                ));
            }
        }
        let resolver = if has_names {
            let mode = config.sandbox;
            let (resolver, confined) = Resolver::start(move || confine_resolver(mode))
                .context("the thread that looks up names cannot start (ulimit -u)")?;
            let is_missing = |mitigation: &Mitigation| mitigation.outcome.is_err();
            mitigations.extend(confined.into_iter().filter(is_missing));
            resolver
        } else {
            Resolver::absent()
        };
        // Before anybody can connect to a port: without a credential there is nothing to connect for.
        let (renewal, missing) = renewal.obtain_first(&resolver, &config)?;
        mitigations.extend(missing);
        let fleet = fleet.map(|fleet| fleet.begin(&resolver, config.sandbox));
        let keeping = fleet.transpose()?.map(|begun| {
            mitigations.extend(begun.missing);
            begun
                .said
                .into_iter()
                .for_each(|said| banner.of_ledger(said));
            if let Some(spending) = &spending {
                spending.follow(begun.followed);
            }
            begun.keeping
        });
        let listening = Listening::begin(port, unix, unix_socket.as_ref(), activated)?;
        mitigations.extend(confine(
            config.sandbox,
            &route,
            server_info.as_ref(),
            &sockets,
            &read_again,
            observation.directories(),
            observation.dump_directory(),
        ));
        // A thread is as confined as the one that starts it.
        stderr::write_in_background();
        renewal.start()?;
        let observing = observation.start(route.name(), descriptors)?;
        let spending = spending.map(|spending| spending.start(keeping));
        let spending = spending.transpose()?;
        if config.sandbox == Sandbox::Require {
            require_all(&mitigations)?;
        }
        if let Some(file) = &clients.token_file
            && let Err(error) = clients.tokens.reload(file)
        {
            banner.warn(format_args!(
                "{:#}; SIGHUP will not find it either",
                anyhow::Error::from(error)
            ));
        }
        Ok(Confined {
            config,
            credential,
            route,
            resolver,
            clients,
            upstream_users,
            listening,
            unix_socket,
            lifetime,
            key_reload,
            server_info,
            observing,
            spending,
            metrics,
            control,
            mitigations,
            descriptors,
            processors,
            banner,
        })
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
    if environment::is_in_an_argument(key) {
        banner.warn(
            "the proxy has the key in its arguments, where every user can read it (ps); have --key-command get \
             it from where it is kept, and use a new one",
        );
    }
    for process in processes_holding(key) {
        banner.warn(process);
    }
}

/// Of files that were made as root, in directories that the proxy's user may not write.
fn warn_of_what_stays(
    server_info: Option<&ServerInfo>,
    sockets: &[&UnixSocket],
    banner: &mut Banner,
) {
    for socket in sockets.iter().filter(|socket| !socket.is_removable()) {
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
