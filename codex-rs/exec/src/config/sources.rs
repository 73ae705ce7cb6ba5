//! Where configuration comes from, the weakest first.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::config::ConfigError;
use crate::config::args::Common;
use crate::config::keys::{UnknownKey, unknown_keys};
use crate::config::layer::{Environment, Layer};
use crate::config::overrides::ConfigOverride;

/// For all users of this system, as in Codex. Only root's, which nobody else can write: it decides where a user's
/// questions and keys go.
const SYSTEM: &str = "/etc/codex/config.toml";
/// The longest such file, in bytes.
#[cfg(unix)]
const MOST_OF_SYSTEM: u64 = 1 << 20;

/// All that was found.
#[derive(Debug)]
pub(super) struct Sources {
    /// The weakest first.
    pub(super) all: Vec<Source>,
    /// Where `config.toml` is, or would be.
    pub(super) home: Option<PathBuf>,
}

/// One file, profile, `-c` or flag.
#[derive(Debug)]
pub(super) struct Source {
    /// For people: a path, `-c key` or `--flag`.
    pub(super) name: String,
    layer: Layer,
    /// The same as it was written, with the keys that nobody here knows.
    pub(super) keys: Table,
}

impl Sources {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] names the file and line, or the `-c`.
    pub(super) fn read(
        args: &Common,
        overrides: &[ConfigOverride],
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        let system = || Source::of_system(Path::new(SYSTEM));
        Self::read_above(system, args, overrides, environment)
    }

    /// The same above what `system` says.
    pub(super) fn read_above(
        system: impl FnOnce() -> Result<Option<Source>, ConfigError>,
        args: &Common,
        overrides: &[ConfigOverride],
        environment: Environment<'_>,
    ) -> Result<Self, ConfigError> {
        if let Some(directory) = args.directory.as_ref().filter(|path| !path.is_dir()) {
            return Err(ConfigError::NotADirectory(directory.clone()));
        }
        let home = home(environment)?;
        let user = home.as_ref().filter(|_| !args.ignore_user_config);
        let user = user.map(|home| home.join("config.toml"));
        let mut all: Vec<Source> = system()?.into_iter().collect();
        if let Some(path) = user {
            all.extend(Source::file(&path)?);
        }
        let mut above = Vec::new();
        for over in overrides {
            above.push(Source::of_override(over)?);
        }
        let layers = above.iter().rev().chain(all.iter().rev());
        let configured = layers.map(|source| source.layer.profile.as_ref());
        let chosen = std::iter::once(args.profile.as_ref()).chain(configured);
        if let Some(name) = chosen.flatten().next() {
            // A profile may be defined by -c as well.
            let defined = all.iter().chain(&above);
            let tables: Vec<_> = defined.filter_map(|source| source.profile(name)).collect();
            all.extend(profile(name, home.as_deref(), tables)?);
        }
        all.extend(above);
        if let Some(model) = &args.model {
            let mut source = Source {
                name: "--model".to_owned(),
                layer: Layer::default(),
                keys: Table::new(),
            };
            source.layer.model = Some(model.clone());
            source
                .keys
                .insert("model".to_owned(), model.as_str().into());
            all.push(source);
        }
        Ok(Self { all, home })
    }

    /// What they come to.
    pub(super) fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        for source in &self.all {
            layer.overlay(source.layer.clone());
        }
        layer
    }

    /// What is written there and has no effect here.
    pub(super) fn unknown_keys(&self) -> Vec<UnknownKey> {
        let of = |source: &Source| unknown_keys(&source.name, &source.keys);
        self.all.iter().flat_map(of).collect()
    }
}

impl Source {
    /// `None` if there is no such file.
    fn file(path: &Path) -> Result<Option<Self>, ConfigError> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if is_missing(&error) => return Ok(None),
            Err(error) => return Err(ConfigError::Io(path.to_owned(), error)),
        };
        Self::text_of(path, &text).map(Some)
    }

    /// The file for all users; `None` if there is none.
    #[cfg(unix)]
    fn of_system(path: &Path) -> Result<Option<Self>, ConfigError> {
        Self::owned_by(path, &codex_trusted_path::Trusted::root())
    }

    /// There are no owners here that could be asked for: who makes the directory could be anybody.
    #[cfg(not(unix))]
    #[allow(clippy::unnecessary_wraps, reason = "as where there is one")]
    fn of_system(_path: &Path) -> Result<Option<Self>, ConfigError> {
        Ok(None)
    }

    /// A file that belongs to one of `owners`, and that nobody else can write.
    #[cfg(unix)]
    pub(super) fn owned_by(
        path: &Path,
        owners: &codex_trusted_path::Trusted,
    ) -> Result<Option<Self>, ConfigError> {
        use codex_trusted_path::{SmallFileError, read_owned};

        let bytes = match read_owned(path, owners, MOST_OF_SYSTEM) {
            Ok(bytes) => bytes,
            Err(SmallFileError::Missing) => return Ok(None),
            Err(SmallFileError::Io(error)) => return Err(ConfigError::Io(path.to_owned(), error)),
            Err(error) => return Err(ConfigError::NotTrusted(path.to_owned(), error)),
        };
        let text = String::from_utf8(bytes).map_err(|_| {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8");
            ConfigError::Io(path.to_owned(), error)
        })?;
        Self::text_of(path, &text).map(Some)
    }

    fn text_of(path: &Path, text: &str) -> Result<Self, ConfigError> {
        // A byte order mark, which editors of Windows write.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let fault = |fault| ConfigError::File(path.to_owned(), fault);
        let mut layer = Layer::parse(text).map_err(fault)?;
        if let (Some(file), Some(beside)) = (&layer.model_instructions_file, path.parent()) {
            layer.model_instructions_file = Some(beside.join(file));
        }
        Ok(Self {
            name: path.display().to_string(),
            layer,
            keys: text.parse().unwrap_or_default(),
        })
    }

    fn of_override(over: &ConfigOverride) -> Result<Self, ConfigError> {
        let document = over
            .document()
            .ok_or_else(|| ConfigError::NoKey(over.to_string()))?;
        let fault = |fault| ConfigError::Override(over.to_string(), fault);
        Ok(Self {
            name: over.to_string(),
            layer: Layer::parse(&document).map_err(fault)?,
            keys: document.parse().unwrap_or_default(),
        })
    }

    /// What it says of a profile.
    fn profile(&self, name: &str) -> Option<Self> {
        let layer = self.layer.profiles.get(name)?;
        let keys = self.keys.get("profiles")?.get(name)?.as_table()?;
        Some(Self {
            name: format!("{}, [profiles.{name}]", self.name),
            layer: layer.clone(),
            keys: keys.clone(),
        })
    }
}

/// Also where a directory on the way is a file.
fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
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

/// A file beside `config.toml`, as Codex has them since 0.134, or else tables.
fn profile(
    name: &str,
    home: Option<&Path>,
    tables: Vec<Source>,
) -> Result<Vec<Source>, ConfigError> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(is_plain) {
        // It becomes part of a path.
        return Err(ConfigError::BadProfileName(name.to_owned()));
    }
    let path = home.map(|home| profile_file(home, name));
    let file = match &path {
        Some(path) => Source::file(path)?,
        None => None,
    };
    match (file, path) {
        (Some(_), Some(path)) if !tables.is_empty() => {
            Err(ConfigError::TwoProfiles(name.to_owned(), path))
        }
        (Some(file), _) => Ok(vec![file]),
        (None, _) if tables.is_empty() => Err(ConfigError::NoProfile(
            name.to_owned(),
            home.map(Path::to_owned),
        )),
        (None, _) => Ok(tables),
    }
}

pub(super) fn profile_file(home: &Path, name: &str) -> PathBuf {
    home.join(format!("{name}.config.toml"))
}
