//! The flags of workload identity as typed: a short-lived token in the place of a key.

use std::path::PathBuf;

use clap::ArgGroup;
use clap::builder::NonEmptyStringValueParser;

// Which identity is shown, and to whom. Not a doc comment: clap would print it for help in the place of what the
// proxy's arguments say of themselves.
#[allow(missing_docs, reason = "see above")]
#[derive(Clone, Debug, Default, clap::Args)]
#[command(group(
    ArgGroup::new("identity").args(["github_oidc", "identity_token_file", "azure_imds", "google_metadata"])
))]
#[command(group(ArgGroup::new("has_audience").args(["github_oidc", "google_metadata"])))]
#[command(group(ArgGroup::new("of_a_machine").args(["azure_imds", "google_metadata"])))]
pub struct IdentityArgs {
    /// Exchange the identity of a GitHub Actions job for a short-lived token
    ///
    /// Standard input then gives the job's request token, not a key. The request token is
    /// ACTIONS_ID_TOKEN_REQUEST_TOKEN, which a job has with `permissions: id-token: write`.
    #[arg(long, requires_all = ["oidc_audience", "identity_provider_id", "service_account_id", "github_oidc_request_url"])]
    pub github_oidc: bool,

    /// Audience that OpenAI's identity provider expects (`--github-oidc`, `--google-metadata`)
    #[arg(long, value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new(), requires_all = ["has_audience", "identity_provider_id", "service_account_id"])]
    pub oidc_audience: Option<String>,

    /// ID of the identity provider at OpenAI that accepts the identity token
    ///
    /// Required with `--github-oidc`, `--identity-token-file`, `--azure-imds` and `--google-metadata`.
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires_all = ["identity", "service_account_id"])]
    pub identity_provider_id: Option<String>,

    /// ID of the service account at OpenAI to act as; the provider's mapping must allow it
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires_all = ["identity", "identity_provider_id"])]
    pub service_account_id: Option<String>,

    /// Where to request the job's token: ACTIONS_ID_TOKEN_REQUEST_URL as the runner set it
    ///
    /// The request token is sent there, so the URL must be https at a host beneath actions.githubusercontent.com, or
    /// at the host of `--github-oidc-host`. Take it from the runner's environment, never from an input of the
    /// workflow.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new(), requires = "github_oidc")]
    pub github_oidc_request_url: Option<String>,

    /// GitHub Enterprise Server that `--github-oidc-request-url` may name instead of GitHub's hosts
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new(), requires = "github_oidc")]
    pub github_oidc_host: Option<String>,

    /// Exchange the identity token (JWT) in this file for a short-lived token
    ///
    /// The file is read at each exchange. On Kubernetes, use a projected service-account token; with SPIFFE, a
    /// JWT-SVID that an agent writes.
    #[arg(long, value_name = "FILE", requires_all = ["identity_provider_id", "service_account_id"])]
    pub identity_token_file: Option<PathBuf>,

    /// Exchange the managed identity of an Azure machine for a short-lived token
    ///
    /// The value is the resource that the identity token is requested for.
    #[arg(long, value_name = "RESOURCE", value_parser = NonEmptyStringValueParser::new(), requires_all = ["identity_provider_id", "service_account_id"])]
    pub azure_imds: Option<String>,

    /// Client ID of the managed identity, if the Azure machine has more than one
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires = "azure_imds")]
    pub azure_client_id: Option<String>,

    /// Exchange the identity of a Google Cloud machine or pod for a short-lived token
    ///
    /// The identity is that of the default service account.
    #[arg(long, requires_all = ["oidc_audience", "identity_provider_id", "service_account_id"])]
    pub google_metadata: bool,

    /// ADDRESS:PORT of the metadata service, if it is not at the cloud's own address
    ///
    /// It must be a loopback, link-local or IPv6 unique local address, because the connection does not use TLS.
    #[arg(long, value_name = "ADDRESS", requires = "of_a_machine")]
    pub metadata_address: Option<std::net::SocketAddr>,

    /// Where to exchange identity tokens for access tokens, if not at OpenAI's token endpoint
    ///
    /// It also allows an `--upstream-url` other than OpenAI's.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new(), requires = "identity")]
    pub token_exchange_url: Option<String>,
}

// Flags of the peer without an effect here. Not a doc comment, as above.
#[allow(missing_docs, reason = "see above")]
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FeatureArgs {
    /// Accepted and ignored, so that scripts for OpenAI's Codex CLI keep working
    ///
    /// There are no features here to enable.
    #[arg(long, value_name = "FEATURE")]
    pub enable: Vec<String>,

    /// Accepted and ignored, like `--enable`
    #[arg(long, value_name = "FEATURE")]
    pub disable: Vec<String>,
}
