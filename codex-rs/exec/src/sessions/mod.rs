//! Conversations that are kept and continued: `$CODEX_HOME/sessions`, in the rollout format of OpenAI's Codex
//! CLI, as far as a chat goes. What either writes, both can continue.
//!
//! A file is only ever added to: the question when it is sent, the rest when the answer is over. Whoever is
//! killed loses the answer under way and nothing else.

mod clock;
mod file;
mod find;
mod history;
mod lines;
mod lock;
mod record;
mod rollout;
mod trusted;
mod usage;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

pub(crate) use self::find::Listed;
pub(crate) use self::history::History;
pub(crate) use self::record::{Outcome, Recorder};

/// Which session to continue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that was changed last, of this directory or of any.
    Last {
        anywhere: bool,
    },
    Id(String),
}

/// Where sessions are, and which of them are ours to choose from.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    home: PathBuf,
    provider: String,
    cwd: String,
}

/// Why a session cannot be continued.
#[derive(Debug)]
pub(crate) enum SessionError {
    NoHome,
    NotAnId(String),
    NotFound(Uuid),
    NoneYet(Store, bool),
    InUse(Uuid),
    CannotLock(Uuid, io::Error),
    Unreadable(PathBuf, io::Error),
    NotASession(PathBuf),
    TooLarge(PathBuf),
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => f.write_str(
                "there is no home directory to keep sessions in; set CODEX_HOME to a directory",
            ),
            Self::NotAnId(word) => write!(
                f,
                "{word} is not the id of a session, such as 01a22589-81f0-7881-945b-1f1e5f0a21ed; \
                 --last continues the latest"
            ),
            Self::NotFound(id) => write!(f, "there is no session {id} in CODEX_HOME/sessions"),
            Self::NoneYet(store, true) => write!(
                f,
                "there is no session with the provider {} yet",
                store.provider
            ),
            Self::NoneYet(store, false) => write!(
                f,
                "there is no session of {} with the provider {} yet; --all looks at those of \
                 every directory",
                store.cwd, store.provider
            ),
            Self::InUse(id) => write!(f, "the session {id} is in use by another process"),
            Self::CannotLock(id, cause) => {
                write!(f, "could not lock the session {id}: {cause}")
            }
            Self::Unreadable(path, cause) => {
                write!(f, "could not read the session {}: {cause}", path.display())
            }
            Self::NotASession(path) => write!(
                f,
                "{} does not begin as a session does (session_meta)",
                path.display()
            ),
            Self::TooLarge(path) => write!(f, "{} is too large to continue", path.display()),
        }
    }
}

impl std::error::Error for SessionError {}

impl Store {
    /// Of a home that need not be there yet; for sessions with this provider, of `directory` or
    /// else the current one.
    ///
    /// # Errors
    ///
    /// [`SessionError::NoHome`].
    pub(crate) fn new(
        home: Option<&Path>,
        provider: &str,
        directory: Option<&Path>,
    ) -> Result<Self, SessionError> {
        let cwd = match directory {
            Some(directory) => directory.canonicalize(),
            None => std::env::current_dir(),
        };
        let cwd = cwd.unwrap_or_default();
        Ok(Self {
            home: home.ok_or(SessionError::NoHome)?.to_owned(),
            provider: provider.to_owned(),
            cwd: cwd.to_string_lossy().into_owned(),
        })
    }

    fn root(&self) -> PathBuf {
        self.home.join("sessions")
    }

    /// The latest sessions of this directory.
    pub(crate) fn list(&self, most: usize) -> Vec<Listed> {
        find::list(&self.root(), &self.provider, &self.cwd, most)
    }

    /// Reads a session, and with `is_kept` what will be added to it.
    ///
    /// # Errors
    ///
    /// [`SessionError`].
    pub(crate) fn resume(
        &self,
        which: &Which,
        is_kept: bool,
    ) -> Result<(Recorder, History), SessionError> {
        let root = self.root();
        let found = match which {
            Which::Id(id) => {
                let id = Uuid::try_parse(id).map_err(|_| SessionError::NotAnId(id.clone()))?;
                find::by_id(&root, id)?
            }
            Which::Last { anywhere } => {
                let cwd = (!anywhere).then_some(self.cwd.as_str());
                let mut latest = find::latest(&root, &self.provider, cwd);
                let latest = latest.next().map(|(_, found)| found);
                latest.ok_or_else(|| SessionError::NoneYet(self.clone(), *anywhere))?
            }
        };
        let recorder = Recorder::of(self, &found, is_kept)?;
        let mut history = find::read(&root, &found)?;
        if found.meta.provider.as_deref() != Some(self.provider.as_str()) {
            // Nobody else can read it.
            history.forget_reasoning();
        }
        Ok((recorder.after(&history), history))
    }
}

/// The time of now in the name of a file.
pub(crate) fn file_time() -> String {
    clock::place(SystemTime::now()).1
}

#[cfg(test)]
mod tests;
