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
    /// Get a short-lived token by the identity of a GitHub Actions job; standard input then gives the job's request
    /// token and not a key
    ///
    /// The request token is ACTIONS_ID_TOKEN_REQUEST_TOKEN, which a job has with `permissions: id-token: write`.
    #[arg(long, requires_all = ["oidc_audience", "identity_provider_id", "service_account_id", "github_oidc_request_url"])]
    pub github_oidc: bool,

    /// Audience that the identity provider at OpenAI expects; for --github-oidc and --google-metadata
    #[arg(long, value_name = "AUDIENCE", value_parser = NonEmptyStringValueParser::new(), requires_all = ["has_audience", "identity_provider_id", "service_account_id"])]
    pub oidc_audience: Option<String>,

    /// Identity provider at OpenAI that knows the tokens of --github-oidc, --identity-token-file and the like
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires_all = ["identity", "service_account_id"])]
    pub identity_provider_id: Option<String>,

    /// Service account at OpenAI to act as, one that the identity provider's mapping allows
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires_all = ["identity", "identity_provider_id"])]
    pub service_account_id: Option<String>,

    /// Where the job's token is asked for: ACTIONS_ID_TOKEN_REQUEST_URL as the runner set it
    ///
    /// The request token goes there, so it has to be https at a host beneath actions.githubusercontent.com, or at the
    /// host of --github-oidc-host. Take it from the runner's environment, never from an input of the workflow.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new(), requires = "github_oidc")]
    pub github_oidc_request_url: Option<String>,

    /// Host of a GitHub Enterprise Server that --github-oidc-request-url may name in the place of GitHub's own
    #[arg(long, value_name = "HOST", value_parser = NonEmptyStringValueParser::new(), requires = "github_oidc")]
    pub github_oidc_host: Option<String>,

    /// Get a short-lived token by the identity token (JWT) in this file, which is read again each time
    ///
    /// For Kubernetes a projected service-account token, for SPIFFE a JWT-SVID that an agent writes.
    #[arg(long, value_name = "FILE", requires_all = ["identity_provider_id", "service_account_id"])]
    pub identity_token_file: Option<PathBuf>,

    /// Get a short-lived token by the managed identity of an Azure machine, as a token for this resource
    #[arg(long, value_name = "RESOURCE", value_parser = NonEmptyStringValueParser::new(), requires_all = ["identity_provider_id", "service_account_id"])]
    pub azure_imds: Option<String>,

    /// Client id of the managed identity, where the Azure machine has more than one
    #[arg(long, value_name = "ID", value_parser = NonEmptyStringValueParser::new(), requires = "azure_imds")]
    pub azure_client_id: Option<String>,

    /// Get a short-lived token by the default service account of a Google Cloud machine or pod
    #[arg(long, requires_all = ["oidc_audience", "identity_provider_id", "service_account_id"])]
    pub google_metadata: bool,

    /// Where the metadata service answers, as ADDRESS:PORT, if not at the cloud's own address
    ///
    /// A loopback or link-local address: it is spoken to without TLS.
    #[arg(long, value_name = "ADDRESS", requires = "of_a_machine")]
    pub metadata_address: Option<std::net::SocketAddr>,

    /// Where identity tokens are exchanged for access tokens, if not at OpenAI's token endpoint
    ///
    /// With it, --upstream-url may be another one than OpenAI's, too.
    #[arg(long, value_name = "URL", value_parser = NonEmptyStringValueParser::new(), requires = "identity")]
    pub token_exchange_url: Option<String>,
}

// Flags of the peer without an effect here. Not a doc comment, as above.
#[allow(missing_docs, reason = "see above")]
#[derive(Clone, Debug, Default, clap::Args)]
pub struct FeatureArgs {
    /// Accepted and ignored, so that scripts for OpenAI's Codex CLI keep working; there are no features here
    #[arg(long, value_name = "FEATURE")]
    pub enable: Vec<String>,

    /// Accepted and ignored, as --enable
    #[arg(long, value_name = "FEATURE")]
    pub disable: Vec<String>,
}
