//! docs/operating.md and `--help` name every flag and variable that the code reads.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use codex_test_support::run_to_exit;

use crate::PROXY;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names in the first column of the table, in its order, and the rest of their rows.
pub(crate) fn table() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("docs/operating.md")).unwrap();
    let (_, part) = text.split_once("## Every flag and variable").unwrap();
    let part = part.split("\n## ").next().unwrap();
    let rows = part.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let (names, rest) = row[2..].split_once(" | ").unwrap();
        let names = names.split('`').skip(1).step_by(2).map(str::to_owned);
        let rest = rest.to_owned();
        names
            .map(move |name| (name, rest.clone()))
            .collect::<Vec<_>>()
    })
    .collect()
}

fn help() -> String {
    run_to_exit(PROXY, &["--help"], &[], b"").stdout
}

/// The flags that `--help` has, and whether each takes a value.
pub(crate) fn flags() -> Vec<(String, bool)> {
    let help = help();
    let lines = help.lines().map(str::trim_start);
    let flags =
        lines.filter_map(|line| line.strip_prefix("-h, ").unwrap_or(line).strip_prefix("--"));
    let flags = flags.map(|line| line.strip_prefix("-V, ").unwrap_or(line));
    flags
        .map(|line| {
            // `--flag[=<VALUE>]` can go without.
            let name = line.split([' ', '\n', '[']).next().unwrap();
            (format!("--{name}"), line.contains(" <"))
        })
        .filter(|(name, _)| name != "--help" && name != "--version")
        .collect()
}

/// The variables that the code reads: those that have a name in an `environment.rs`, the only files that read any; but
/// for `SUDO_UID`, which is there too.
fn variables() -> BTreeSet<String> {
    let mut files = Vec::new();
    for of in [
        "responses-api-proxy",
        "deadline",
        "outbound",
        "process-hardening",
        "secret-memory",
        "server-info",
        "trusted-path",
    ] {
        sources(&root().join("codex-rs").join(of).join("src"), &mut files);
    }
    let mut found = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        if name == "environment.rs" {
            let constants = code.lines().filter(|line| line.contains("const "));
            let quoted = constants.flat_map(|line| line.split('"').skip(1).step_by(2));
            found.extend(quoted.map(str::to_owned));
        } else if name == "trusted.rs" {
            assert_eq!(code.matches("env::var").count(), 1);
            assert!(code.contains(r#"env::var("SUDO_UID")"#));
        } else if name == "bench_build.rs" {
            // Of a build that nobody is to use.
            let text = fs::read_to_string(file.with_file_name("mod.rs")).unwrap();
            assert!(text.contains("#[cfg(codex_bench)]\nmod bench_build;"));
        } else {
            for call in ["env::var", "env::vars", "getenv("] {
                assert!(!code.contains(call), "{} calls {call}", file.display());
            }
        }
    }
    found
}

fn sources(of: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(of).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn flags_and_variables_of_the_code_and_of_the_table_are_the_same() {
    let named: Vec<String> = table().into_iter().map(|(name, _)| name).collect();
    let once: BTreeSet<String> = named.iter().cloned().collect();
    assert_eq!(once.len(), named.len(), "a name stands there twice");
    let flags = flags().into_iter().map(|(flag, _)| flag);
    let read: BTreeSet<String> = flags.chain(variables()).collect();
    assert!(read.len() > 30, "found only {read:?}");
    assert_eq!(once, read);
    // And `--help` names every variable that one would set on purpose.
    let help = help();
    for name in [
        "HTTPS_PROXY",
        "ALL_PROXY",
        "NO_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
    ] {
        assert!(help.contains(name), "{name}");
    }
}
