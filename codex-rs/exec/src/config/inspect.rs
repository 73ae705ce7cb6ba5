//! What the configuration comes to, for `codex doctor`: read as for a request, and no request is made.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::config::args::Common;
use crate::config::headers::{CredentialError, OPENAI_KEYS};
use crate::config::layer::{Environment, Layer, Secret};
use crate::config::overrides::ConfigOverride;
use crate::config::provider::{Provider, ProviderError};
use crate::config::sources::Sources;
use crate::config::{Config, ConfigError};

/// A shorter value is a placeholder.
const SHORTEST_KEY: usize = 20;

/// What the configuration comes to.
#[derive(Debug)]
pub struct ConfigInspection {
    /// The files that were read, the weakest first.
    pub files: Vec<PathBuf>,
    /// Where `config.toml` is, or would be.
    pub home: Option<PathBuf>,
    /// The keys of these files that hold an API key, by the looks of it, whatever the provider in force.
    pub keys_in_files: Vec<String>,
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
                home: None,
                keys_in_files: Vec::new(),
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
    let layer = sources.layer();
    let keys_in_files = keys_in(&layer);
    let variables = variables(&layer, &args, &environment);
    let home = sources.home.clone();
    let provider = Config::settle(&args, sources, &environment)
        .map(|config| inspect(&config.provider, variables, &environment))
        .map_err(InspectionError::from);
    ConfigInspection {
        files,
        home,
        keys_in_files,
        provider,
    }
}

fn inspect(
    provider: &Provider,
    mut key_variables: Vec<String>,
    environment: Environment<'_>,
) -> ProviderInspection {
    // Of what could be sent, what is: a token in the server info comes before it.
    key_variables.retain(|name| {
        let value = environment(name).unwrap_or_default();
        let value = value.to_string_lossy();
        let is_in = |secret: &Secret| secret.expose().contains(value.trim());
        !value.trim().is_empty() && provider.secrets.iter().any(is_in)
    });
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
    }
}

/// The variables that the credential of the provider in force may come from.
fn variables(layer: &Layer, args: &Common, environment: Environment<'_>) -> Vec<String> {
    let id = Provider::chosen_id(layer, args.server_info.as_deref(), environment);
    let Some(table) = layer.model_providers.get(id) else {
        return if Provider::is_built_in(id) {
            OPENAI_KEYS.map(str::to_owned).into()
        } else {
            Vec::new()
        };
    };
    let mut variables: Vec<String> = table.env_key.iter().cloned().collect();
    variables.extend(table.env_http_headers.values().cloned());
    if table.env_key.is_none() && table.requires_openai_auth == Some(true) {
        variables.extend(OPENAI_KEYS.map(str::to_owned));
    }
    variables
}

/// The keys of configuration files that hold an API key, by the looks of it.
fn keys_in(layer: &Layer) -> Vec<String> {
    let mut found = Vec::new();
    for (id, table) in &layer.model_providers {
        let token = table.experimental_bearer_token.as_ref();
        if token.is_some_and(|token| looks_like_a_key(token.expose())) {
            found.push(format!("model_providers.{id}.experimental_bearer_token"));
        }
        let fields = table.http_headers.values();
        let mut fields = fields.filter_map(|value| value.0.to_str().ok());
        if fields.any(looks_like_a_key) {
            found.push(format!("model_providers.{id}.http_headers"));
        }
        let mut params = table.query_params.values();
        if params.any(|value| looks_like_a_key(value)) {
            found.push(format!("model_providers.{id}.query_params"));
        }
    }
    found
}

/// Whether a word of it begins as OpenAI's keys do, such as the second of `Bearer sk-...`.
fn looks_like_a_key(text: &str) -> bool {
    let is_key = |word: &str| word.starts_with("sk-") && word.len() >= SHORTEST_KEY;
    text.split_whitespace().any(is_key)
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
