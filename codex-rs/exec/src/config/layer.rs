//! One source of configuration, with the keys of Codex's `config.toml` that matter to a chat.
//!
//! What can be wrong with a value by itself is found while it is read, so that the error can say
//! where it stands. Keys that are not here are ignored: the file is shared with OpenAI's Codex CLI.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use http::{HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, de};

use crate::config::error::Fault;

/// Looks a variable of the environment up.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// What one file, profile or `-c` says.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Layer {
    #[serde(default, deserialize_with = "filled")]
    pub(crate) model: Option<String>,
    pub(crate) model_provider: Option<String>,
    pub(crate) model_reasoning_effort: Option<String>,
    pub(crate) model_reasoning_summary: Option<String>,
    pub(crate) instructions: Option<String>,
    pub(crate) model_instructions_file: Option<PathBuf>,
    pub(crate) developer_instructions: Option<String>,
    pub(crate) model_verbosity: Option<String>,
    pub(crate) service_tier: Option<String>,
    pub(crate) max_output_tokens: Option<u64>,
    pub(crate) openai_base_url: Option<BaseUrl>,
    pub(crate) profile: Option<String>,
    #[serde(default)]
    pub(crate) profiles: BTreeMap<String, Layer>,
    #[serde(default)]
    pub(crate) model_providers: BTreeMap<String, ProviderLayer>,
}

/// What one source says of a provider.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct ProviderLayer {
    pub(crate) name: Option<String>,
    pub(crate) base_url: Option<BaseUrl>,
    /// Only ever `responses`: it is checked and then of no interest.
    #[serde(default, rename = "wire_api")]
    pub(crate) _wire_api: WireApi,
    #[serde(default, deserialize_with = "filled")]
    pub(crate) env_key: Option<String>,
    pub(crate) env_key_instructions: Option<String>,
    pub(crate) experimental_bearer_token: Option<Secret>,
    pub(crate) requires_openai_auth: Option<bool>,
    /// A command that prints a key, in Codex. Only that it is there is of interest.
    pub(crate) auth: Option<IgnoredAny>,
    #[serde(default)]
    pub(crate) http_headers: BTreeMap<FieldName, FieldValue>,
    #[serde(default)]
    pub(crate) env_http_headers: BTreeMap<FieldName, String>,
    #[serde(default)]
    pub(crate) query_params: BTreeMap<String, String>,
    pub(crate) request_max_retries: Option<u32>,
    pub(crate) stream_max_retries: Option<u32>,
    pub(crate) stream_idle_timeout_ms: Option<u64>,
}

impl Layer {
    /// Reads a TOML document.
    ///
    /// # Errors
    ///
    /// The first [`Fault`], with its line and key.
    pub(crate) fn parse(document: &str) -> Result<Self, Fault> {
        toml::from_str(document).map_err(|error| Fault::new(document, &error))
    }

    /// Lays another layer over this one: what it says counts, the rest stays.
    pub(crate) fn overlay(&mut self, over: Self) {
        replace(&mut self.model, over.model);
        replace(&mut self.model_provider, over.model_provider);
        replace(
            &mut self.model_reasoning_effort,
            over.model_reasoning_effort,
        );
        replace(
            &mut self.model_reasoning_summary,
            over.model_reasoning_summary,
        );
        replace(&mut self.instructions, over.instructions);
        replace(
            &mut self.model_instructions_file,
            over.model_instructions_file,
        );
        replace(
            &mut self.developer_instructions,
            over.developer_instructions,
        );
        replace(&mut self.model_verbosity, over.model_verbosity);
        replace(&mut self.service_tier, over.service_tier);
        replace(&mut self.max_output_tokens, over.max_output_tokens);
        replace(&mut self.openai_base_url, over.openai_base_url);
        replace(&mut self.profile, over.profile);
        for (name, profile) in over.profiles {
            self.profiles.entry(name).or_default().overlay(profile);
        }
        for (id, provider) in over.model_providers {
            self.model_providers
                .entry(id)
                .or_default()
                .overlay(provider);
        }
    }
}

impl ProviderLayer {
    fn overlay(&mut self, over: Self) {
        replace(&mut self.name, over.name);
        replace(&mut self.base_url, over.base_url);
        replace(&mut self.env_key, over.env_key);
        replace(&mut self.env_key_instructions, over.env_key_instructions);
        replace(
            &mut self.experimental_bearer_token,
            over.experimental_bearer_token,
        );
        replace(&mut self.requires_openai_auth, over.requires_openai_auth);
        replace(&mut self.auth, over.auth);
        self.http_headers.extend(over.http_headers);
        self.env_http_headers.extend(over.env_http_headers);
        self.query_params.extend(over.query_params);
        replace(&mut self.request_max_retries, over.request_max_retries);
        replace(&mut self.stream_max_retries, over.stream_max_retries);
        replace(
            &mut self.stream_idle_timeout_ms,
            over.stream_idle_timeout_ms,
        );
    }
}

fn replace<T>(value: &mut Option<T>, over: Option<T>) {
    if over.is_some() {
        *value = over;
    }
}

/// A string with something in it.
fn filled<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() {
        return Err(de::Error::custom("it is empty; leave it out for none"));
    }
    Ok(Some(text))
}

/// An address below which `/responses` is, without a user or password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BaseUrl(pub(crate) reqwest::Url);

impl<'de> Deserialize<'de> for BaseUrl {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let url = reqwest::Url::parse(&text)
            .map_err(|cause| de::Error::custom(format_args!("not a URL: {cause}")))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(de::Error::custom(
                "the URL has to begin with https:// or http://",
            ));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(de::Error::custom(
                "the URL holds a user name or a password; use env_key for a credential",
            ));
        }
        Ok(Self(url))
    }
}

/// The one protocol there is.
#[derive(Clone, Debug, Default)]
pub(crate) struct WireApi;

impl<'de> Deserialize<'de> for WireApi {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        match String::deserialize(from)?.as_str() {
            "responses" => Ok(Self),
            _ => Err(de::Error::custom(
                "only wire_api = \"responses\" is spoken here, as in Codex",
            )),
        }
    }
}

/// Fields that say where a request ends and whom it is for: set by hand they say something else.
const FRAMING: [&str; 8] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The name of a header field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FieldName(String);

impl FieldName {
    /// One of ours, in lower case.
    pub(crate) fn known(name: &'static str) -> Self {
        Self(name.to_owned())
    }

    pub(crate) fn header(&self) -> Option<HeaderName> {
        self.0.parse().ok()
    }
}

impl<'de> Deserialize<'de> for FieldName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let name = String::deserialize(from)?.to_ascii_lowercase();
        name.parse::<HeaderName>()
            .map_err(|_| de::Error::custom("not the name of a header field"))?;
        if FRAMING.contains(&name.as_str()) {
            return Err(de::Error::custom(
                "this header field is the connection's own and cannot be set",
            ));
        }
        Ok(Self(name))
    }
}

/// A token, kept out of whatever prints structures: only who asks for it by name sees it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Secret(String);

impl Secret {
    pub(crate) fn new(token: &str) -> Self {
        Self(token.to_owned())
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The value of a header field, never shown.
#[derive(Clone)]
pub(crate) struct FieldValue(pub(crate) HeaderValue);

impl fmt::Debug for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FieldValue(..)")
    }
}

impl<'de> Deserialize<'de> for FieldValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| de::Error::custom("a header field cannot have this value"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests;
