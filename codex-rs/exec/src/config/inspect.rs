//! What the configuration comes to, for `codex doctor`: read as for a request, and no request is made.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::args::Common;
use crate::config::headers::{CredentialError, OPENAI_KEYS};
use crate::config::layer::Environment;
use crate::config::overrides::ConfigOverride;
use crate::config::provider::{Provider, ProviderError};
use crate::config::sources::Sources;
use crate::config::{Config, ConfigError};

/// What the configuration comes to.
#[derive(Debug)]
pub struct ConfigInspection {
    /// The files that were read, the weakest first.
    pub files: Vec<PathBuf>,
    /// The provider in force, or why there is none.
    pub provider: Result<ProviderInspection, InspectionError>,
}

/// Why there is no provider.
#[derive(Debug)]
pub struct InspectionError {
    /// For people, without anything secret.
    pub message: String,
    /// Whether nothing is configured at all, and no key of the built-in provider is set.
    pub is_unconfigured: bool,
}

/// The provider in force.
#[derive(Debug)]
pub struct ProviderInspection {
    /// Its name.
    pub id: String,
    /// Where requests go, without anything secret.
    pub place: String,
    /// Whether that is on this host.
    pub is_on_this_host: bool,
    /// The addresses behind a port of this host.
    pub addresses: Vec<SocketAddr>,
    /// Whether the proxy that a server-info file names listens there; `None` without such a file.
    pub proxy: Option<Result<(), String>>,
    /// The variables whose values are sent as a credential.
    pub key_variables: Vec<String>,
    /// The keys of configuration files that hold an API key, by the looks of it.
    pub keys_in_files: Vec<String>,
}

/// Reads the configuration. `server_info` is as of `codex exec --server-info`.
#[must_use]
pub fn inspect_config(
    server_info: Option<&Path>,
    overrides: &[ConfigOverride],
) -> ConfigInspection {
    let environment = |name: &str| std::env::var_os(name);
    let args = Common {
        server_info: server_info.map(Path::to_owned),
        ..Common::default()
    };
    let sources = match Sources::read(&args, overrides, &environment) {
        Ok(sources) => sources,
        Err(error) => {
            return ConfigInspection {
                files: Vec::new(),
                provider: Err(error.into()),
            };
        }
    };
    let files: Vec<PathBuf> = sources
        .all
        .iter()
        .map(|source| PathBuf::from(&source.name))
        .filter(|path| path.is_file())
        .collect();
    let (key_variables, keys_in_files) = credentials(&sources, &args, &environment);
    let provider = Config::settle(&args, sources, &environment)
        .map(|config| inspect(&config.provider, key_variables, keys_in_files))
        .map_err(InspectionError::from);
    ConfigInspection { files, provider }
}

fn inspect(
    provider: &Provider,
    key_variables: Vec<String>,
    keys_in_files: Vec<String>,
) -> ProviderInspection {
    let is_on_this_host = provider.socket.is_some() || provider.is_on_this_host();
    let addresses = if is_on_this_host && provider.socket.is_none() {
        provider.url.socket_addrs(|| None).unwrap_or_default()
    } else {
        Vec::new()
    };
    let proxy = provider.proxy_process.as_ref();
    ProviderInspection {
        id: provider.id.clone(),
        place: provider.place(),
        is_on_this_host,
        addresses,
        proxy: proxy.map(|process| process.verify().map_err(|gone| gone.to_string())),
        key_variables,
        keys_in_files,
    }
}

/// Where the credential of the provider in force comes from, by the rules of
/// [`Provider::choose`](crate::config::provider::Provider::choose).
fn credentials(
    sources: &Sources,
    args: &Common,
    environment: Environment<'_>,
) -> (Vec<String>, Vec<String>) {
    let layer = sources.layer();
    let id = Provider::chosen_id(&layer, args.server_info.as_deref(), environment);
    let Some(table) = layer.model_providers.get(id) else {
        let set = OPENAI_KEYS.iter().find(|name| environment(name).is_some());
        let of_openai = set.filter(|_| Provider::is_built_in(id));
        return (
            of_openai.map(ToString::to_string).into_iter().collect(),
            Vec::new(),
        );
    };
    let mut variables: Vec<String> = table.env_key.iter().cloned().collect();
    variables.extend(table.env_http_headers.values().cloned());
    if table.env_key.is_none() && table.requires_openai_auth == Some(true) {
        variables.extend(OPENAI_KEYS.map(str::to_owned));
    }
    let token = table.experimental_bearer_token.as_ref();
    let is_key = token.is_some_and(|token| token.expose().starts_with("sk-"));
    let name = format!("model_providers.{id}.experimental_bearer_token");
    (variables, is_key.then_some(name).into_iter().collect())
}

impl From<ConfigError> for InspectionError {
    fn from(error: ConfigError) -> Self {
        let is_unconfigured = matches!(
            &error,
            ConfigError::Provider(ProviderError::Credential(id, CredentialError::NotSet { .. }))
                if Provider::is_built_in(id)
        );
        Self {
            message: error.to_string(),
            is_unconfigured,
        }
    }
}
