//! The scripts say what they do, and run where there is nothing yet.

#![cfg(unix)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn program(at: &Path, text: &str) {
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(at, fs::Permissions::from_mode(0o755)).unwrap();
}

/// Where nginx and HAProxy are installed there is nothing in the cache, nor a cache.
#[test]
fn the_benchmark_runs_where_there_is_no_cache() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    // What is measured is not the point here.
    program(&at("bin/cargo"), "exit 0");
    program(
        &at("target/load/codex-bench"),
        "printf 'measuring: %s\\n' \"$*\"",
    );
    let path = std::env::var("PATH").unwrap();
    fs::create_dir(at("empty")).unwrap();
    for cache in ["nowhere", "empty"] {
        let output = Command::new("bash")
            .arg(root().join("scripts/bench"))
            .args(["--ours", "/bin/true"])
            .env("PATH", format!("{}:{path}", at("bin").display()))
            .env("CARGO_TARGET_DIR", at("target"))
            .env("CODEX_BENCH_CACHE", at(cache))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{output:?}");
        assert!(
            said.contains("measuring: run --ours /bin/true"),
            "{output:?}"
        );
    }
}

/// Who cannot be fetched is not measured, and the others are.
#[test]
fn the_benchmark_goes_on_where_nothing_can_be_fetched() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    program(&at("bin/cargo"), "exit 0");
    program(&at("bin/apt-get"), "exit 1");
    program(&at("bin/npm"), "exit 1");
    program(&at("target/load/codex-bench"), "echo measuring");
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("bash")
        .arg(root().join("scripts/bench"))
        .args(["--install", "--ours", "/bin/true"])
        .env("PATH", format!("{}:{path}", at("bin").display()))
        .env("CARGO_TARGET_DIR", at("target"))
        .env("CODEX_BENCH_CACHE", at("cache"))
        .output()
        .unwrap();
    let (out, err) = (&output.stdout, String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{err}");
    assert_eq!(String::from_utf8_lossy(out), "measuring\n");
    assert!(err.contains("npm cannot install Codex CLI"), "{err}");
}

/// Minutes pass the first time, and cargo says what they are spent on.
#[test]
fn the_demo_shows_that_it_builds() {
    let builds = [
        ("scripts/demo", "find_or_build "),
        ("scripts/lib/start.sh", "cargo build "),
    ];
    for (script, command) in builds {
        let text = fs::read_to_string(root().join(script)).unwrap();
        let build = text
            .lines()
            .find(|line| line.trim_start().starts_with(command))
            .unwrap();
        assert!(!build.contains("quiet") && !build.contains("2>"), "{build}");
    }
}
