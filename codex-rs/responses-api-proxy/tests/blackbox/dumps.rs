//! Requests and answers on the disk: `--dump-dir`.

mod format;
mod secrets;
mod writing;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use codex_test_support::{MockUpstream, Proxy, ProxyBuilder, WAIT_TIMEOUT};
use serde_json::Value;

use crate::custody::strictest_sandbox;
use crate::in_front_of;

/// In the proxy's own directory, all of which the harness searches for the key.
const DUMPS: &str = "dumps";

pub(crate) fn dumping(upstream: &MockUpstream) -> ProxyBuilder {
    in_front_of(upstream)
        .args(["--dump-dir", DUMPS])
        .args(["--sandbox", strictest_sandbox()])
}

pub(crate) fn dir_of(proxy: &Proxy) -> PathBuf {
    proxy.tempdir().join(DUMPS)
}

/// Waits for what nobody tells of.
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + WAIT_TIMEOUT;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Of the request with this number.
pub(crate) fn find(dir: &Path, number: usize, half: &str) -> Option<PathBuf> {
    let (from, to) = (format!("{number:06}-"), format!("-{half}.json"));
    let name = names(dir)
        .into_iter()
        .find(|name| name.starts_with(&from) && name.ends_with(&to));
    name.map(|name| dir.join(name))
}

#[track_caller]
fn text(dir: &Path, number: usize, half: &str) -> String {
    let path = wait_for(&format!("the {half} of {number}"), || {
        find(dir, number, half)
    });
    fs::read_to_string(path).unwrap()
}

#[track_caller]
pub(crate) fn dump(dir: &Path, number: usize, half: &str) -> Value {
    serde_json::from_str(&text(dir, number, half)).unwrap()
}

pub(crate) fn unfinished(dir: &Path) -> Vec<PathBuf> {
    let names = names(dir).into_iter();
    names
        .filter(|name| name.starts_with('.'))
        .map(|name| dir.join(name))
        .collect()
}
