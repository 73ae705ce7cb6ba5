//! The configured fields of a request, and whether a secret is among them.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};

use crate::config::layer::{Environment, ProviderLayer, Secret};

/// Of these the first that is set: Codex's own name for it, then everybody's.
pub(crate) const OPENAI_KEYS: [&str; 2] = ["CODEX_API_KEY", "OPENAI_API_KEY"];

/// Why there is no credential.
#[derive(Debug)]
pub(crate) enum CredentialError {
    /// None of these variables is set.
    NotSet {
        variables: Vec<String>,
        /// Where to get one, as the provider's table has it.
        instructions: Option<String>,
    },
    /// What the variable or the key of this name holds cannot be the value of a header field.
    NotAHeaderValue(String),
}

/// What goes along with every request to a provider, marked sensitive.
#[derive(Debug)]
pub(crate) struct Fields {
    pub(crate) map: HeaderMap,
    /// Whether nobody on the way may read them.
    pub(crate) hold_secret: bool,
    /// The values among them that a server must not repeat: the credential, what comes from the environment,
    /// and fields whose names say so.
    pub(crate) secrets: Vec<Secret>,
}

impl Fields {
    /// Gathers the fields, the credential among them, from a table and the environment.
    ///
    /// # Errors
    ///
    /// The variable of the credential is not set, or its value cannot be sent.
    pub(crate) fn of(
        table: &ProviderLayer,
        environment: Environment<'_>,
    ) -> Result<Self, CredentialError> {
        let set = |variable: &str| {
            // What is not UTF-8 is not a header field either; the error comes below.
            let value = environment(variable)?.to_string_lossy().into_owned();
            (!value.trim().is_empty()).then_some(value)
        };
        let mut map = HeaderMap::new();
        let mut hold_secret = false;
        let mut secrets = Vec::new();
        for (name, value) in &table.http_headers {
            if let Some(name) = name.header() {
                hold_secret |= !is_harmless(name.as_str());
                if is_secret_by_name(name.as_str()) {
                    secrets.extend(value.0.to_str().ok().map(Secret::new));
                }
                map.insert(name, value.0.clone());
            }
        }
        for (name, variable) in &table.env_http_headers {
            // As in Codex, a variable that is not set leaves its field out.
            if let (Some(name), Some(value)) = (name.header(), set(variable)) {
                // What is not a secret could be in the file.
                hold_secret = true;
                secrets.push(Secret::new(&value));
                map.insert(name, sensitive(&value, variable)?);
            }
        }
        let credential = match (&table.env_key, &table.experimental_bearer_token) {
            (Some(variable), _) => {
                let key = set(variable).ok_or_else(|| CredentialError::NotSet {
                    variables: vec![variable.clone()],
                    instructions: table.env_key_instructions.clone(),
                })?;
                Some(bearer(&key, variable)?)
            }
            (None, Some(token)) => Some(bearer(token.expose(), "experimental_bearer_token")?),
            // As in Codex, a request goes without where there is no key.
            (None, None) if table.requires_openai_auth == Some(true) => {
                let set = OPENAI_KEYS.iter().find_map(|name| Some((name, set(name)?)));
                set.map(|(name, key)| bearer(&key, name)).transpose()?
            }
            (None, None) => None,
        };
        if let Some(credential) = credential {
            hold_secret = true;
            secrets.extend(credential.to_str().ok().map(Secret::new));
            map.insert(AUTHORIZATION, credential);
        }
        Ok(Self {
            map,
            hold_secret,
            secrets,
        })
    }
}

/// Fields that say nothing but what they are named for. Any other may be a credential: every gateway
/// has a name of its own for it.
const HARMLESS: [&str; 9] = [
    "accept",
    "accept-language",
    "cache-control",
    "openai-beta",
    "originator",
    "pragma",
    "user-agent",
    "version",
    "x-request-id",
];

/// By its name, in lower case.
pub(crate) fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name)
}

/// Words in the names of fields and parameters whose values are secrets, and how such words end.
const SECRET_WORDS: [&str; 14] = [
    "auth",
    "authorization",
    "code",
    "cookie",
    "credential",
    "credentials",
    "key",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "session",
    "sig",
    "signature",
];
const SECRET_ENDS: [&str; 3] = ["key", "secret", "token"];

/// Whether the name of a field or a parameter says that its value is a secret.
pub(crate) fn is_secret_by_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let mut words = name.split(|c: char| !c.is_ascii_alphanumeric());
    words.any(|word| {
        SECRET_WORDS.contains(&word) || SECRET_ENDS.iter().any(|end| word.ends_with(end))
    })
}

fn bearer(token: &str, from: &str) -> Result<HeaderValue, CredentialError> {
    sensitive(&format!("Bearer {}", token.trim()), from)
}

fn sensitive(value: &str, from: &str) -> Result<HeaderValue, CredentialError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| CredentialError::NotAHeaderValue(from.to_owned()))?;
    value.set_sensitive(true);
    Ok(value)
}
