//! What flags, `-c`, profile and `config.toml` come to; no invalid value exists past here.
//!
//! From weakest to strongest: built-in values, `config.toml`, the profile, `-c` in the order
//! given, a flag of its own (`--model`, `--server-info`).

pub(crate) mod args;
pub(crate) mod error;
pub(crate) mod headers;
pub(crate) mod layer;
pub(crate) mod overrides;
pub(crate) mod provider;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::args::Common;
use crate::config::error::Fault;
use crate::config::layer::{Environment, Layer};
use crate::config::overrides::ConfigOverride;
use crate::config::provider::{Provider, ProviderError};

/// What OpenAI's Codex CLI 0.169 asks for when nothing is configured.
const DEFAULT_MODEL: &str = "gpt-6.1-sol";

/// Everything that is settled before the first request.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) model: String,
    pub(crate) instructions: Option<String>,
    pub(crate) effort: Option<String>,
    /// Whether summaries of the reasoning are asked for and shown.
    pub(crate) summary: Option<String>,
    pub(crate) provider: Provider,
    /// Where `config.toml` is, or would be.
    pub(crate) home: Option<PathBuf>,
}

/// Why there is no configuration to work with.
#[derive(Debug)]
pub(crate) enum ConfigError {
    HomeMissing(PathBuf),
    Io(PathBuf, io::Error),
    File(PathBuf, Fault),
    Override(String, Fault),
    NoKey(String),
    NoProfile(String, Option<PathBuf>),
    BadProfileName(String),
    TwoProfiles(String, PathBuf),
    Provider(ProviderError),
}

impl ConfigError {
    /// Whether the command line, rather than a file, is what has to be mended.
    pub(crate) fn is_usage(&self) -> bool {
        match self {
            Self::Override(..) | Self::NoKey(_) | Self::BadProfileName(_) => true,
            Self::Provider(error) => error.is_usage(),
            _ => false,
        }
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
        let home = home(environment)?;
        let mut layer = match &home {
            Some(home) => read(&home.join("config.toml"))?.unwrap_or_default(),
            None => Layer::default(),
        };
        let mut above = Layer::default();
        for over in overrides {
            above.overlay(read_override(over)?);
        }
        let chosen = [&args.profile, &above.profile, &layer.profile];
        let chosen = chosen.into_iter().flatten().next().cloned();
        if let Some(name) = chosen {
            // A profile may be defined by -c as well.
            let tables = [layer.profiles.remove(&name), above.profiles.remove(&name)];
            layer.overlay(profile(&name, home.as_deref(), tables)?);
        }
        layer.overlay(above);
        if args.model.is_some() {
            layer.model.clone_from(&args.model);
        }
        Self::settle(args, layer, home, environment)
    }

    fn settle(
        args: &Common,
        layer: Layer,
        home: Option<PathBuf>,
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let provider = Provider::choose(&layer, args.server_info.as_deref(), environment)
            .map_err(ConfigError::Provider)?;
        let configured = layer.model_reasoning_summary.filter(|kind| kind != "none");
        let asked = args.show_reasoning.then(|| "auto".to_owned());
        Ok(Self {
            model: layer.model.unwrap_or_else(|| DEFAULT_MODEL.to_owned()),
            instructions: layer.instructions,
            effort: layer.model_reasoning_effort,
            summary: configured.or(asked),
            provider,
            home,
        })
    }
}

/// `$CODEX_HOME`, else `~/.codex`, which need not be there.
fn home(environment: Environment<'_>) -> Result<Option<PathBuf>, ConfigError> {
    match environment("CODEX_HOME").filter(|path| !path.is_empty()) {
        Some(path) => {
            let path = PathBuf::from(path);
            if path.is_dir() {
                Ok(Some(path))
            } else {
                Err(ConfigError::HomeMissing(path))
            }
        }
        None => Ok(environment("HOME")
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .or_else(std::env::home_dir)
            .map(|home| home.join(".codex"))),
    }
}

/// `None` if there is no such file.
fn read(path: &Path) -> Result<Option<Layer>, ConfigError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ConfigError::Io(path.to_owned(), error)),
    };
    Layer::parse(&text)
        .map(Some)
        .map_err(|fault| ConfigError::File(path.to_owned(), fault))
}

fn read_override(over: &ConfigOverride) -> Result<Layer, ConfigError> {
    let document = over
        .document()
        .ok_or_else(|| ConfigError::NoKey(over.to_string()))?;
    Layer::parse(&document).map_err(|fault| ConfigError::Override(over.to_string(), fault))
}

/// A file beside `config.toml`, as Codex has them since 0.134, or else a table in it.
fn profile(
    name: &str,
    home: Option<&Path>,
    tables: [Option<Layer>; 2],
) -> Result<Layer, ConfigError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(is_plain) {
        // It becomes part of a path.
        return Err(ConfigError::BadProfileName(name.to_owned()));
    }
    let path = home.map(|home| profile_file(home, name));
    let file = match &path {
        Some(path) => read(path)?,
        None => None,
    };
    let table = tables.into_iter().flatten().reduce(|mut below, above| {
        below.overlay(above);
        below
    });
    match (file, table, path) {
        (Some(_), Some(_), Some(path)) => Err(ConfigError::TwoProfiles(name.to_owned(), path)),
        (Some(layer), _, _) | (None, Some(layer), _) => Ok(layer),
        (None, None, _) => Err(ConfigError::NoProfile(
            name.to_owned(),
            home.map(Path::to_owned),
        )),
    }
}

fn profile_file(home: &Path, name: &str) -> PathBuf {
    home.join(format!("{name}.config.toml"))
}

#[cfg(test)]
mod tests;
