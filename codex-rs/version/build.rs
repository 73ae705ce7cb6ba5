//! Finds out which commit is built.
//!
//! `CODEX_COMMIT`, a hash, and `CODEX_COMMIT_DATE` say it; `scripts/release` sets them. Without them git is asked, but for
//! builds in debug mode it is not: they would all be linked anew after each commit. Where there is no git, or no
//! checkout of this repository, as in an archive of the sources, the version is all that is said.
#![allow(
    clippy::print_stdout,
    reason = "cargo reads what a build script prints"
)]

#[path = "src/commit.rs"]
mod commit;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn main() -> Result<(), String> {
    for name in ["CODEX_COMMIT", "CODEX_COMMIT_DATE"] {
        println!("cargo::rerun-if-env-changed={name}");
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/commit.rs");
    let version = variable("CARGO_PKG_VERSION").unwrap_or_default();
    let version = match variable("CODEX_COMMIT") {
        Some(hash) => {
            commit::with_commit(&version, &hash, variable("CODEX_COMMIT_DATE").as_deref())?
        }
        None => match last_commit() {
            Some((hash, date)) => commit::with_commit(&version, &hash, Some(&date))?,
            None => version,
        },
    };
    // It can go without protections: nobody is to take it for another.
    let purpose = match env::var_os("CARGO_CFG_CODEX_BENCH") {
        Some(_) => " for benchmarks alone",
        None => "",
    };
    println!("cargo::rustc-env=CODEX_VERSION={version}{purpose}");
    Ok(())
}

/// A variable that is set and not empty.
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// The hash and the date, in UTC, of the commit that is checked out.
fn last_commit() -> Option<(String, String)> {
    if variable("PROFILE")? == "debug" {
        return None;
    }
    let root = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../..");
    // A source archive may lie in somebody else's checkout.
    let checkout = PathBuf::from(git(&root, &["rev-parse", "--show-toplevel"])?);
    if fs::canonicalize(checkout).ok()? != fs::canonicalize(&root).ok()? {
        return None;
    }
    rerun_after_a_commit(&root);
    let format = [
        "log",
        "-1",
        "--date=format-local:%Y-%m-%d",
        "--format=%H %cd",
    ];
    let said = git(&root, &format)?;
    let (hash, date) = said.split_once(' ')?;
    Some((hash.to_owned(), date.to_owned()))
}

/// These change when something else is checked out, and with a commit. A file that is not there would have cargo run
/// this each time.
fn rerun_after_a_commit(root: &Path) {
    let branch = git(root, &["symbolic-ref", "--quiet", "HEAD"]);
    for name in ["HEAD", "logs/HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref())
    {
        let file = git(root, &["rev-parse", "--git-path", name]).map(|path| root.join(path));
        if let Some(file) = file.filter(|file| file.exists()) {
            println!("cargo::rerun-if-changed={}", file.display());
        }
    }
}

/// What git says, unless it fails.
fn git(root: &Path, arguments: &[&str]) -> Option<String> {
    let said = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .env("TZ", "UTC")
        // Set in hooks of a repository that may be another one.
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .output()
        .ok()?;
    let text = String::from_utf8(said.stdout).ok()?.trim().to_owned();
    (said.status.success() && !text.is_empty()).then_some(text)
}
