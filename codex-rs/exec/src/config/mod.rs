//! What flags, `-c`, profile and `config.toml` come to; no invalid value exists past here.
//!
//! From weakest to strongest: built-in values, the system's `config.toml`, the user's, the profile, `-c` in the
//! order given, a flag of its own (`--model`, `--server-info`).

pub(crate) mod address;
pub(crate) mod args;
pub(crate) mod codex_flags;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod inspect;
mod keys;
pub(crate) mod layer;
pub(crate) mod overrides;
pub(crate) mod provider;
pub(crate) mod resume;
pub(crate) mod schema;
pub(crate) mod show;
mod sources;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use codex_trusted_path::SmallFileError;

use crate::config::args::Common;
use crate::config::error::Fault;
use crate::config::layer::Environment;
use crate::config::overrides::ConfigOverride;
use crate::config::provider::{Provider, ProviderError};
use crate::config::schema::Schema;
use crate::config::sources::{Sources, profile_file};

/// What OpenAI's Codex CLI 0.169 asks for when nothing is configured.
const DEFAULT_MODEL: &str = "gpt-6.1-sol";
/// The longest file with instructions, in bytes.
const MAX_INSTRUCTIONS: u64 = 16 << 20;

/// Everything that is settled before the first request.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) model: String,
    pub(crate) instructions: Option<String>,
    pub(crate) effort: Option<String>,
    /// Whether summaries of the reasoning are asked for and shown.
    pub(crate) summary: Option<String>,
    pub(crate) developer_instructions: Option<String>,
    pub(crate) verbosity: Option<String>,
    pub(crate) service_tier: Option<String>,
    pub(crate) max_output_tokens: Option<u64>,
    /// What the answer has to keep to, where JSON is asked for.
    pub(crate) schema: Option<Schema>,
    /// What is configured and has no effect here, a sentence each.
    pub(crate) notes: Vec<String>,
    pub(crate) provider: Provider,
    /// Where `config.toml` is, or would be.
    pub(crate) home: Option<PathBuf>,
}

/// Why there is no configuration to work with.
#[derive(Debug)]
pub(crate) enum ConfigError {
    HomeMissing(PathBuf),
    Io(PathBuf, io::Error),
    /// The file for all users could have been written by one of them.
    #[cfg_attr(not(unix), allow(dead_code, reason = "there is no such file"))]
    NotTrusted(PathBuf, SmallFileError),
    File(PathBuf, Fault),
    Override(String, Fault),
    NoKey(String),
    NoProfile(String, Option<PathBuf>),
    BadProfileName(String),
    TwoProfiles(String, PathBuf),
    NotADirectory(PathBuf),
    /// With `--strict-config`.
    UnknownKey(String),
    Provider(ProviderError),
}

impl ConfigError {
    /// Whether the command line, rather than a file, is what has to be mended.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Override(..) | Self::NoKey(_) | Self::BadProfileName(_)
        )
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HomeMissing(path) => write!(
                f,
                "CODEX_HOME is {}, which is not a directory; make it or unset CODEX_HOME",
                path.display()
            ),
            Self::Io(path, cause) => write!(f, "could not read {}: {cause}", path.display()),
            Self::NotTrusted(path, cause) => {
                write!(f, "{} is not used: {cause}", path.display())
            }
            Self::File(path, fault) => write!(f, "{}:{}: {fault}", path.display(), fault.line),
            Self::Override(name, fault) => write!(f, "{name}: {fault}"),
            Self::NoKey(name) => write!(
                f,
                "{name}: not a dotted key, such as model_providers.my-proxy.base_url"
            ),
            Self::NoProfile(name, home) => {
                write!(f, "there is no profile {name}: ")?;
                match home {
                    Some(home) => write!(
                        f,
                        "neither {} nor [profiles.{name}] in {}",
                        profile_file(home, name).display(),
                        home.join("config.toml").display()
                    ),
                    None => f.write_str("there is no home directory; set CODEX_HOME"),
                }
            }
            Self::BadProfileName(name) => write!(
                f,
                "--profile {name}: a profile's name has only letters, digits, - and _ in it"
            ),
            Self::TwoProfiles(name, path) => write!(
                f,
                "the profile {name} is both in {} and in [profiles.{name}] of config.toml; keep one",
                path.display()
            ),
            Self::NotADirectory(path) => {
                write!(f, "-C {}: there is no such directory", path.display())
            }
            Self::UnknownKey(note) => write!(f, "{note} (--strict-config)"),
            Self::Provider(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the files and settles what counts.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the file and line, the `-c` or the key.
    pub(crate) fn load(
        args: &Common,
        overrides: &[ConfigOverride],
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        Self::settle(
            args,
            Sources::read(args, overrides, environment)?,
            environment,
        )
    }

    fn settle(
        args: &Common,
        sources: Sources,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let notes = sources.unknown_keys();
        if let Some(note) = notes.first().filter(|_| args.strict_config) {
            return Err(ConfigError::UnknownKey(note.to_string()));
        }
        let (layer, home) = (sources.layer(), sources.home);
        let provider = Provider::choose(&layer, args.server_info.as_deref(), environment)
            .map_err(ConfigError::Provider)?;
        let configured = layer.model_reasoning_summary.filter(|kind| kind != "none");
        let asked = args.show_reasoning.then(|| "auto".to_owned());
        Ok(Self {
            model: layer.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            instructions: match &args.instructions {
                Some(instructions) => Some(text_or_file(instructions)?),
                None => match layer.model_instructions_file {
                    Some(path) => Some(read_text(&path)?),
                    None => layer.instructions,
                },
            },
            developer_instructions: layer.developer_instructions,
            effort: layer.model_reasoning_effort,
            summary: configured.or(asked),
            verbosity: layer.model_verbosity,
            service_tier: layer.service_tier.map(|tier| match tier.as_str() {
                // Codex has a name of its own for it.
                "fast" => "priority".to_owned(),
                _ => tier,
            }),
            max_output_tokens: layer.max_output_tokens,
            schema: None,
            notes: notes
                .iter()
                .filter(|note| note.changes_request)
                .map(ToString::to_string)
                .collect(),
            provider,
            home,
        })
    }
}

/// A text, or what a file holds that is named as `@FILE`.
fn text_or_file(given: &str) -> Result<String, ConfigError> {
    match given.strip_prefix('@') {
        Some(path) => read_text(Path::new(path)),
        None => Ok(given.to_owned()),
    }
}

fn read_text(path: &Path) -> Result<String, ConfigError> {
    let fault = |error| ConfigError::Io(path.to_owned(), error);
    let mut text = String::new();
    let length = File::open(path)
        .and_then(|file| file.take(MAX_INSTRUCTIONS + 1).read_to_string(&mut text))
        .map_err(fault)?;
    if length as u64 > MAX_INSTRUCTIONS {
        return Err(fault(io::Error::from(io::ErrorKind::FileTooLarge)));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
