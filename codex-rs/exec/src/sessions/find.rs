//! Finds sessions: `sessions/YYYY/MM/DD/rollout-<time>-<id>.jsonl`.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use uuid::Uuid;

use super::history::{History, Meta};
use super::lines::each_line;
use super::{SessionError, clock, trusted};

/// The first line of a session holds Codex's instructions to its agent.
const MAX_FIRST_LINE: usize = 4 << 20;
/// How many forks of forks are followed.
const MAX_BASES: usize = 16;
/// How many lines are read for the first question.
const MAX_PREVIEW: usize = 200;
/// How much of the first question is shown in a list, in characters.
const MAX_TITLE: usize = 60;

/// A session that is there.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) path: PathBuf,
    pub(super) meta: Meta,
    pub(super) id: Uuid,
}

/// A session, as a list shows it.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) id: Uuid,
    pub(crate) title: String,
    /// Such as `2 h ago`.
    pub(crate) age: String,
}

/// The session of this id.
///
/// # Errors
///
/// [`SessionError`]: there is none, or it cannot be read.
pub(super) fn by_id(root: &Path, id: Uuid) -> Result<Found, SessionError> {
    let end = format!("-{id}.jsonl");
    let (_, path) = files(root)
        .into_iter()
        .find(|(_, path)| name_of(path).ends_with(&end))
        .ok_or(SessionError::NotFound(id))?;
    let meta = meta(&path).map_err(|cause| SessionError::Unreadable(path.clone(), cause))?;
    match meta {
        Some(meta) => Ok(Found { path, meta, id }),
        None => Err(SessionError::NotASession(path)),
    }
}

/// The sessions of a provider, and of a directory if one is given, the one that was changed last
/// first. What cannot be read is passed over.
pub(super) fn latest<'a>(
    root: &Path,
    provider: &'a str,
    cwd: Option<&'a str>,
) -> impl Iterator<Item = (SystemTime, Found)> + 'a {
    let mut files = files(root);
    files.sort_by(|a, b| b.cmp(a));
    files.into_iter().filter_map(move |(changed, path)| {
        let meta = meta(&path).ok()??;
        let id = meta.id?;
        let is_here = cwd.is_none() || meta.cwd.as_deref() == cwd;
        let is_wanted = meta.provider.as_deref() == Some(provider) && is_here;
        is_wanted.then_some((changed, Found { path, meta, id }))
    })
}

/// The latest sessions of a directory, for a person to choose from.
pub(super) fn list(root: &Path, provider: &str, cwd: &str, most: usize) -> Vec<Listed> {
    let now = SystemTime::now();
    let listed = latest(root, provider, Some(cwd)).filter_map(|(changed, found)| {
        let title = title(&found.path)?;
        Some(Listed {
            id: found.id,
            title,
            age: clock::age(changed, now),
        })
    });
    listed.take(most).collect()
}

/// Reads a session, and what it is a fork of.
///
/// # Errors
///
/// [`SessionError`].
pub(super) fn read(root: &Path, found: &Found) -> Result<History, SessionError> {
    let mut chain = vec![(found.clone(), None)];
    while let Some(base) = chain.last().and_then(|(found, _)| found.meta.base) {
        if chain.len() > MAX_BASES {
            return Err(SessionError::NotASession(found.path.clone()));
        }
        chain.push((by_id(root, base.id)?, Some(base.end)));
    }
    let mut history = History::default();
    for (found, end) in chain.iter().rev() {
        let unreadable = |cause| SessionError::Unreadable(found.path.clone(), cause);
        let file = trusted::open_to_read(&found.path).map_err(unreadable)?;
        let mut is_too_large = false;
        let left_out = each_line(BufReader::new(file), super::lines::MAX_LINE, |line| {
            let more = history.take(line, *end);
            is_too_large = more.is_err();
            more.unwrap_or(false)
        });
        history.skipped += left_out.map_err(unreadable)?;
        if is_too_large {
            return Err(SessionError::TooLarge(found.path.clone()));
        }
    }
    history.complete();
    Ok(history)
}

fn title(path: &Path) -> Option<String> {
    let mut history = History::default();
    let mut lines = 0;
    let file = BufReader::new(trusted::open_to_read(path).ok()?);
    each_line(file, MAX_FIRST_LINE, |line| {
        lines += 1;
        history.take(line, None).unwrap_or(false)
            && history.first_question().is_none()
            && lines < MAX_PREVIEW
    })
    .ok()?;
    let title = history.first_question()?;
    Some(crate::terminal::printable::excerpt(title, MAX_TITLE))
}

/// `None` if the file does not begin as a session does.
fn meta(path: &Path) -> io::Result<Option<Meta>> {
    let mut meta = None;
    let file = BufReader::new(trusted::open_to_read(path)?);
    each_line(file, MAX_FIRST_LINE, |line| {
        meta = Meta::of_line(line);
        false
    })?;
    Ok(meta)
}

/// All rollout files, each with the time of its last change, in no order.
fn files(root: &Path) -> Vec<(SystemTime, PathBuf)> {
    let mut directories = vec![root.to_owned()];
    // Years, months, days.
    for _ in 0..3 {
        let numbered = |path: &PathBuf| name_of(path).bytes().all(|byte| byte.is_ascii_digit());
        directories = directories
            .iter()
            .flat_map(|path| entries(path))
            .filter(numbered)
            .collect();
    }
    let paths = directories.iter().flat_map(|path| entries(path));
    let is_rollout = |path: &PathBuf| {
        let name = name_of(path);
        name.starts_with("rollout-") && name.ends_with(".jsonl")
    };
    let changed = |path: PathBuf| {
        let changed = fs::symlink_metadata(&path).and_then(|found| found.modified());
        Some((changed.ok()?, path))
    };
    paths.filter(is_rollout).filter_map(changed).collect()
}

fn entries(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten();
    entries.flatten().map(|entry| entry.path()).collect()
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}
