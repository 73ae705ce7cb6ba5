//! Whose identity is shown for an access token, and where: what the flags of workload identity mean.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use url::{Host, Url, form_urlencoded};

use crate::config::args::DEFAULT_UPSTREAM;
use crate::config::credential_source::CredentialSource;
use crate::config::identity_args::IdentityArgs;

/// Where identity tokens are exchanged unless told otherwise (API reference, "Workload identity token exchange").
const DEFAULT_EXCHANGE: &str = "https://auth.openai.com/oauth/token";

/// Whose hosts give the tokens of GitHub's own jobs.
const GITHUB: &str = ".actions.githubusercontent.com";

/// Where the clouds answer their machines.
const AZURE_METADATA: &str = "169.254.169.254";
const GOOGLE_METADATA: &str = "metadata.google.internal";

/// An identity, and where it is exchanged.
#[derive(Clone, Debug)]
pub(crate) struct WorkloadConfig {
    pub(crate) subject: SubjectSource,
    pub(crate) identity_provider_id: String,
    pub(crate) service_account_id: String,
    /// https.
    pub(crate) exchange_url: Url,
}

/// Where the identity token comes from: the subject token of RFC 8693. URLs are complete, query included.
#[derive(Clone, Debug)]
pub(crate) enum SubjectSource {
    /// The OIDC provider of a GitHub Actions job; by https.
    GitHub(Url),
    /// A file.
    File(PathBuf),
    /// The instance metadata service of an Azure machine.
    Azure(Url),
    /// The metadata server of a Google Cloud machine.
    Google(Url),
}

impl SubjectSource {
    /// The file, if it is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::GitHub(_) | Self::Azure(_) | Self::Google(_) => None,
        }
    }

    /// What the token is said to be in the exchange (RFC 8693, section 3).
    pub(crate) fn token_type(&self) -> &'static str {
        match self {
            Self::GitHub(_) | Self::File(_) | Self::Azure(_) => {
                "urn:ietf:params:oauth:token-type:jwt"
            }
            Self::Google(_) => "urn:ietf:params:oauth:token-type:id_token",
        }
    }
}

/// What is wrong with what was typed.
#[derive(Debug)]
pub(crate) enum WorkloadConfigError {
    /// The flag's value cannot be read as a URL.
    NotAUrl(&'static str, url::ParseError),
    /// Not https, or with user info or a fragment.
    Https(&'static str),
    /// Not one of GitHub's hosts.
    GitHubHost(String),
    /// Not a host.
    NotAHost(String),
    /// Reachable from elsewhere.
    MetadataAddress(SocketAddr),
    /// A token of OpenAI would go elsewhere.
    Upstream,
}

impl fmt::Display for WorkloadConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAUrl(flag, cause) => write!(f, "{flag} is not an absolute URL ({cause})"),
            Self::Https(flag) => write!(
                f,
                "{flag} has to be https, without user info and without a fragment: a token is sent there"
            ),
            Self::GitHubHost(host) => write!(
                f,
                "--github-oidc-request-url names the host {host}, which is not one of GitHub's \
                 (*{GITHUB}); for a GitHub Enterprise Server give its host with --github-oidc-host"
            ),
            Self::NotAHost(host) => write!(
                f,
                "--github-oidc-host {host} is not a host; write a name or an address alone"
            ),
            Self::MetadataAddress(address) => write!(
                f,
                "--metadata-address {address} is neither a loopback, a link-local nor an IPv6 unique local address, and a token \
                 would cross the network in cleartext"
            ),
            Self::Upstream => write!(
                f,
                "with workload identity --upstream-url has to be {DEFAULT_UPSTREAM}: the access token is \
                 OpenAI's; for another service give its --token-exchange-url as well"
            ),
        }
    }
}

impl std::error::Error for WorkloadConfigError {}

/// What the flags come to; a key on standard input without any of them. `is_default` is whether requests go to OpenAI.
///
/// # Errors
///
/// [`WorkloadConfigError`]. That flags belong together is settled before, by clap.
pub(super) fn credential_source(
    args: IdentityArgs,
    is_default: bool,
) -> Result<CredentialSource, WorkloadConfigError> {
    let audience = args.oidc_audience.unwrap_or_default();
    let metadata = match args.metadata_address {
        Some(address) if !is_near(address.ip()) => {
            return Err(WorkloadConfigError::MetadataAddress(address));
        }
        address => address.map(|address| address.to_string()),
    };
    let subject = if let Some(url) = args.github_oidc_request_url {
        SubjectSource::GitHub(github_url(&url, args.github_oidc_host, &audience)?)
    } else if let Some(file) = args.identity_token_file {
        SubjectSource::File(file)
    } else if let Some(resource) = args.azure_imds {
        let resource = encoded(&resource);
        let client = args.azure_client_id.map(|id| encoded(&id));
        let client = client.map_or_else(String::new, |id| format!("&client_id={id}"));
        SubjectSource::Azure(metadata_url(
            metadata.as_deref().unwrap_or(AZURE_METADATA),
            &format!(
                "metadata/identity/oauth2/token?api-version=2018-02-01&resource={resource}{client}"
            ),
        )?)
    } else if args.google_metadata {
        let audience = encoded(&audience);
        SubjectSource::Google(metadata_url(
            metadata.as_deref().unwrap_or(GOOGLE_METADATA),
            &format!(
                "computeMetadata/v1/instance/service-accounts/default/identity?audience={audience}"
            ),
        )?)
    } else {
        return Ok(CredentialSource::Stdin);
    };
    if !is_default && args.token_exchange_url.is_none() {
        return Err(WorkloadConfigError::Upstream);
    }
    let exchange = args.token_exchange_url.as_deref();
    let config = WorkloadConfig {
        subject,
        identity_provider_id: args.identity_provider_id.unwrap_or_default(),
        service_account_id: args.service_account_id.unwrap_or_default(),
        exchange_url: https("--token-exchange-url", exchange.unwrap_or(DEFAULT_EXCHANGE))?,
    };
    Ok(CredentialSource::Workload(Box::new(config)))
}

/// Of `flag`: https, without user info and fragment.
fn https(flag: &'static str, text: &str) -> Result<Url, WorkloadConfigError> {
    let url = Url::parse(text).map_err(|cause| WorkloadConfigError::NotAUrl(flag, cause))?;
    let has_user = !url.username().is_empty() || url.password().is_some();
    if url.scheme() != "https" || has_user || url.fragment().is_some() {
        return Err(WorkloadConfigError::Https(flag));
    }
    Ok(url)
}

fn github_url(
    text: &str,
    enterprise: Option<String>,
    audience: &str,
) -> Result<Url, WorkloadConfigError> {
    let mut url = https("--github-oidc-request-url", text)?;
    let enterprise = enterprise
        .map(|host| Host::parse(&host).map_err(|_| WorkloadConfigError::NotAHost(host)))
        .transpose()?;
    let host = url.host_str().unwrap_or_default();
    let is_named = enterprise.is_some_and(|named| named.to_string() == host);
    if !host.ends_with(GITHUB) && !is_named {
        return Err(WorkloadConfigError::GitHubHost(host.to_owned()));
    }
    // As GitHub's own toolkit does it: behind what is there already.
    let audience = format!("audience={}", encoded(audience));
    let query = match url.query() {
        Some(query) if !query.is_empty() => format!("{query}&{audience}"),
        _ => audience,
    };
    url.set_query(Some(&query));
    Ok(url)
}

fn metadata_url(at: &str, path_and_query: &str) -> Result<Url, WorkloadConfigError> {
    Url::parse(&format!("http://{at}/{path_and_query}"))
        .map_err(|cause| WorkloadConfigError::NotAUrl("--metadata-address", cause))
}

/// For a query, with a space as `%20`.
fn encoded(text: &str) -> String {
    let form: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    form.replace('+', "%20")
}

/// Whether nothing but this host and its link is there.
fn is_near(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_link_local(),
        // As the metadata services of clouds have them (fd00:ec2::254, fd20:ce::254).
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local(),
    }
}

#[cfg(test)]
mod tests;
