//! The provider: where requests go, and with what credential.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use codex_server_info::{Address, ProxyProcess, ReadError};
use http::HeaderMap;
use reqwest::Url;

use crate::config::address::{is_loopback, is_private, responses_url, without_query};
use crate::config::headers::{CredentialError, Fields, OPENAI_KEYS, is_secret_by_name};
use crate::config::layer::{BaseUrl, Environment, FieldName, Layer, ProviderLayer, Secret};

/// The provider that stands for a proxy of this host.
const LOCAL_PROXY: &str = "local-proxy";
/// The variable that names the server info of a proxy.
const SERVER_INFO: &str = "CODEX_PROXY_SERVER_INFO";
const OPENAI: &str = "openai";
const OPENAI_URL: &str = "https://api.openai.com/v1";

/// Codex's defaults, and its limit for the retries.
const REQUEST_RETRIES: u32 = 4;
const STREAM_RETRIES: u32 = 5;
const MOST_RETRIES: u32 = 100;
const IDLE_TIMEOUT: Duration = Duration::from_millis(300_000);

/// Where requests go, with what credential, how often and how long.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) id: String,
    /// The whole address, with the query.
    pub(crate) url: Url,
    /// A Unix socket to connect to, whatever the address says.
    pub(crate) socket: Option<PathBuf>,
    /// Where a proxy's own word leads: that proxy, which has to be there still.
    pub(crate) proxy_process: Option<ProxyProcess>,
    /// Configured fields, the credential among them; marked sensitive.
    pub(crate) headers: HeaderMap,
    /// Values of those fields, and of the query, that a server must not repeat.
    pub(crate) secrets: Vec<Secret>,
    pub(crate) request_max_retries: u32,
    pub(crate) stream_max_retries: u32,
    pub(crate) idle_timeout: Duration,
}

/// Why no request can be made to a provider.
#[derive(Debug)]
pub(crate) enum ProviderError {
    Unknown(String, Vec<String>),
    NoBaseUrl(String),
    NoProxyNamed,
    ServerInfo(ReadError),
    /// Of the provider of this name.
    Credential(String, CredentialError),
    InClear(String, String),
    AuthCommand(String),
    Reserved,
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(id, known) => write!(
                f,
                "model_provider = {id:?}: there is no [model_providers.{id}]; there is {}",
                known.join(", ")
            ),
            Self::NoBaseUrl(id) => write!(f, "model_providers.{id} has no base_url"),
            Self::NoProxyNamed => write!(
                f,
                "model_provider = {LOCAL_PROXY:?} needs to know where the proxy is: \
                 --server-info FILE, {SERVER_INFO}, or model_providers.{LOCAL_PROXY}.base_url"
            ),
            Self::ServerInfo(error) => error.fmt(f),
            Self::Credential(
                id,
                CredentialError::NotSet {
                    variables,
                    instructions,
                },
            ) => {
                write!(
                    f,
                    "the provider {id:?} needs an API key in {}",
                    variables.join(" or ")
                )?;
                match instructions {
                    Some(instructions) => write!(f, ": {instructions}"),
                    None => write!(
                        f,
                        "; set it, or keep the key out of reach behind `codex responses-api-proxy` \
                         and use -c model_provider={LOCAL_PROXY} --server-info FILE"
                    ),
                }
            }
            Self::Credential(_, CredentialError::NotAHeaderValue(from)) => write!(
                f,
                "{from} cannot be sent in a header: it has a line break or another control \
                 character in it"
            ),
            Self::InClear(id, origin) => write!(
                f,
                "what may be a credential of model_providers.{id} (a key, a query, a header field) \
                 would cross the network in cleartext to {origin}; use https, or a proxy on this host"
            ),
            Self::AuthCommand(id) => write!(
                f,
                "model_providers.{id}.auth gets the key from a command, and this client runs none; \
                 use env_key, or a profile without it"
            ),
            Self::Reserved => write!(
                f,
                "model_providers.{OPENAI} is built in, in Codex too; choose another name, or set \
                 openai_base_url"
            ),
        }
    }
}

impl Provider {
    /// Finds the provider that a configuration chooses.
    ///
    /// # Errors
    ///
    /// [`ProviderError`]: there is none, or it lacks something.
    pub(crate) fn choose(
        layer: &Layer,
        server_info: Option<&Path>,
        environment: Environment<'_>,
    ) -> Result<Self, ProviderError> {
        if layer.model_providers.contains_key(OPENAI) {
            return Err(ProviderError::Reserved);
        }
        let of_environment = named_by_environment(environment);
        let id = Self::chosen_id(layer, server_info, environment);
        match (id, layer.model_providers.get(id)) {
            (OPENAI, _) => Self::openai(layer.openai_base_url.clone(), environment),
            (LOCAL_PROXY, table) => {
                let table = table.cloned().unwrap_or_default();
                let file = match (server_info, &table.base_url, of_environment) {
                    (Some(path), ..) => Some(path.to_owned()),
                    (None, None, Some(path)) => Some(PathBuf::from(path)),
                    (None, None, None) => return Err(ProviderError::NoProxyNamed),
                    (None, Some(_), _) => None,
                };
                match file {
                    Some(path) => Self::local_proxy(&path, table, environment),
                    None => Self::configured(id, table, environment),
                }
            }
            (_, Some(table)) => Self::configured(id, table.clone(), environment),
            (_, None) => {
                let known = [OPENAI, LOCAL_PROXY].map(str::to_owned).into_iter();
                let known = known.chain(layer.model_providers.keys().cloned());
                Err(ProviderError::Unknown(id.to_owned(), known.collect()))
            }
        }
    }

    /// The name of the provider in force, whether or not there is such a one.
    pub(crate) fn chosen_id<'a>(
        layer: &'a Layer,
        server_info: Option<&Path>,
        environment: Environment<'_>,
    ) -> &'a str {
        // The address of `openai` is a choice of provider, too.
        let is_open = layer.openai_base_url.is_none();
        let is_named = is_open && named_by_environment(environment).is_some();
        let fallback = if server_info.is_some() || is_named {
            LOCAL_PROXY
        } else {
            OPENAI
        };
        // The flag is the strongest source there is.
        let configured = layer.model_provider.as_deref();
        configured
            .filter(|_| server_info.is_none())
            .unwrap_or(fallback)
    }

    /// Whether it is the provider that nobody configures: OpenAI's own.
    pub(crate) fn is_built_in(id: &str) -> bool {
        id == OPENAI
    }

    fn openai(
        base_url: Option<BaseUrl>,
        environment: Environment<'_>,
    ) -> Result<Self, ProviderError> {
        let set = |name: &&str| {
            environment(name).is_some_and(|key| !key.to_string_lossy().trim().is_empty())
        };
        let variable = OPENAI_KEYS.iter().find(|name| set(name));
        let Some(variable) = variable else {
            let not_set = CredentialError::NotSet {
                variables: vec!["OPENAI_API_KEY".to_owned()],
                instructions: None,
            };
            return Err(ProviderError::Credential(OPENAI.to_owned(), not_set));
        };
        let table = ProviderLayer {
            base_url: base_url.or_else(|| Url::parse(OPENAI_URL).ok().map(BaseUrl)),
            env_key: Some((*variable).to_owned()),
            env_http_headers: account_fields(),
            ..ProviderLayer::default()
        };
        Self::configured(OPENAI, table, environment)
    }

    fn local_proxy(
        file: &Path,
        mut table: ProviderLayer,
        environment: Environment<'_>,
    ) -> Result<Self, ProviderError> {
        let found = codex_server_info::read(file).map_err(ProviderError::ServerInfo)?;
        let (authority, socket) = match found.address {
            Address::Port(port) => (format!("127.0.0.1:{port}"), None),
            Address::Socket(path) => ("localhost".to_owned(), Some(path)),
        };
        table.base_url = Url::parse(&format!("http://{authority}/v1"))
            .ok()
            .map(BaseUrl);
        // The proxy knows the key; what it wants of a caller is in its own file.
        if let Some(token) = found.info.client_token {
            table.env_key = None;
            table.experimental_bearer_token = Some(Secret::new(token.expose()));
            table.auth = None;
        }
        let mut provider = Self::configured(LOCAL_PROXY, table, environment)?;
        provider.socket = socket;
        provider.proxy_process = Some(found.process);
        Ok(provider)
    }

    fn configured(
        id: &str,
        table: ProviderLayer,
        environment: Environment<'_>,
    ) -> Result<Self, ProviderError> {
        let Some(BaseUrl(base)) = &table.base_url else {
            return Err(ProviderError::NoBaseUrl(id.to_owned()));
        };
        if table.auth.is_some() {
            return Err(ProviderError::AuthCommand(id.to_owned()));
        }
        let url = responses_url(base, &table);
        let fields = Fields::of(&table, environment)
            .map_err(|error| ProviderError::Credential(id.to_owned(), error))?;
        // A query often holds a key, under whatever name.
        let holds_secret = fields.hold_secret || url.query().is_some_and(|query| !query.is_empty());
        if holds_secret && !is_private(&url) {
            let origin = url.origin().ascii_serialization();
            return Err(ProviderError::InClear(id.to_owned(), origin));
        }
        let params = url.query_pairs();
        let params = params.filter(|(name, _)| is_secret_by_name(name));
        let mut secrets = fields.secrets;
        secrets.extend(params.map(|(_, value)| Secret::new(&value)));
        Ok(Self {
            id: id.to_owned(),
            url,
            socket: None,
            proxy_process: None,
            headers: fields.map,
            secrets,
            request_max_retries: table
                .request_max_retries
                .unwrap_or(REQUEST_RETRIES)
                .min(MOST_RETRIES),
            stream_max_retries: table
                .stream_max_retries
                .unwrap_or(STREAM_RETRIES)
                .min(MOST_RETRIES),
            idle_timeout: table
                .stream_idle_timeout_ms
                .map_or(IDLE_TIMEOUT, Duration::from_millis),
        })
    }

    /// For messages: the address without its query, which may hold a secret, or the socket.
    pub(crate) fn place(&self) -> String {
        match &self.socket {
            Some(path) => format!("the Unix socket {}", path.display()),
            None => without_query(&self.url),
        }
    }

    /// Whether requests stay on this host.
    pub(crate) fn is_on_this_host(&self) -> bool {
        is_loopback(&self.url)
    }
}

/// The server info of a proxy, where a variable names it.
fn named_by_environment(environment: Environment<'_>) -> Option<OsString> {
    environment(SERVER_INFO).filter(|path| !path.is_empty())
}

/// Whose account a request is on, as Codex and OpenAI's own libraries say it.
fn account_fields() -> BTreeMap<FieldName, String> {
    let fields = [
        ("openai-organization", "OPENAI_ORGANIZATION"),
        ("openai-project", "OPENAI_PROJECT"),
    ];
    fields
        .map(|(field, variable)| (FieldName::known(field), variable.to_owned()))
        .into()
}
