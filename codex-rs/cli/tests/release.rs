//! What releases are made of: the version, the manifests, the changelog, and the scripts that make the artefacts.

#![cfg(unix)]
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use codex_test_support::skipped;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(of: &str) -> String {
    fs::read_to_string(root().join(of)).unwrap()
}

/// The value of a key of the manifest of the workspace.
fn of_the_workspace(key: &str) -> String {
    let manifest = text("Cargo.toml");
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key} = ")));
    line.unwrap().trim_matches('"').to_owned()
}

/// Nobody publishes a crate by an oversight, and each says what it is.
#[test]
fn every_crate_says_what_it_is_and_is_not_published() {
    assert!(text("Cargo.toml").contains("\npublish = false\n"));
    for entry in fs::read_dir(root().join("codex-rs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let manifest = text(&format!("codex-rs/{name}/Cargo.toml"));
        for line in [
            "version.workspace = true",
            "edition.workspace = true",
            "rust-version.workspace = true",
            "license.workspace = true",
            "publish.workspace = true",
        ] {
            assert!(manifest.contains(line), "{name}: {line}");
        }
        assert!(manifest.contains("\ndescription = \""), "{name}");
    }
}

#[test]
fn the_documents_name_the_oldest_rust_and_the_version() {
    let oldest = of_the_workspace("rust-version");
    assert!(text("docs/releases.md").contains(&format!("It is Rust {oldest}, ")));
    // Beneath it is what the next version brings.
    assert!(text("CHANGELOG.md").contains("\n## Unreleased\n"));
}

/// `codex 0.1.0 (1a2b3c4 2026-11-29)`, or without what is in parentheses.
#[test]
fn the_version_is_the_second_word_and_a_commit_may_follow() {
    let said = Command::new(env!("CARGO_BIN_EXE_codex"))
        .arg("--version")
        .output()
        .unwrap();
    let said = String::from_utf8(said.stdout).unwrap();
    let words: Vec<&str> = said.trim_end().split(' ').collect();
    assert_eq!(words[..2], ["codex", &of_the_workspace("version")]);
    if let [commit, rest @ ..] = &words[2..] {
        let hash = commit.strip_prefix('(').unwrap().trim_end_matches(')');
        assert!(hash.len() == 7 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert!(rest.len() <= 1 && said.ends_with(")\n"), "{said}");
    }
}

#[test]
fn the_scripts_refuse_a_wrong_command_line() {
    for (script, wrong) in [
        ("scripts/release", &["--nonsense"][..]),
        (
            "scripts/release",
            &["--targets", "riscv64gc-unknown-linux-gnu"],
        ),
        ("scripts/release", &["--profile", "bench"]),
        ("scripts/release", &["--out"]),
        ("packaging/build-rpm", &["--nonsense"]),
        ("packaging/build-rpm", &["--version"]),
        ("packaging/build-image", &["--nonsense"]),
        ("packaging/build-image", &["--bin-dir", "."]),
    ] {
        let program = root().join(script);
        let output = match Command::new(&program).args(wrong).output() {
            // An interpreter that is not here.
            Err(_) => return skipped("python3 is not installed"),
            Ok(output) => output,
        };
        assert_eq!(
            output.status.code(),
            Some(2),
            "{script} {wrong:?}: {output:?}"
        );
        let help = Command::new(&program).arg("--help").output().unwrap();
        assert!(help.status.success() && help.stdout.starts_with(b"Usage: "));
    }
}

/// A header of a program for this machine (`e_machine` of elf(5)), without an interpreter.
fn program(machine: u8) -> Vec<u8> {
    let mut header = vec![0; 64];
    header[..6].copy_from_slice(b"\x7fELF\x02\x01");
    header[18] = machine;
    header
}

const AMD64: u8 = 62;
const ARM64: u8 = 183;

fn image(of: &Path, out: &Path) -> Option<Output> {
    let directories = ["one", "other"].map(|name| of.join(name));
    let mut command = Command::new(root().join("packaging/build-image"));
    for directory in directories.iter().filter(|directory| directory.exists()) {
        command.arg("--bin-dir").arg(directory);
    }
    let authorities = of.join("ca.pem");
    fs::write(&authorities, "-----BEGIN CERTIFICATE-----\n").unwrap();
    command
        .arg("--ca-file")
        .arg(authorities)
        .arg("--out")
        .arg(out);
    command.env("SOURCE_DATE_EPOCH", "1700000000").output().ok()
}

fn put_program(at: &Path, bytes: &[u8]) {
    fs::create_dir_all(at).unwrap();
    fs::write(at.join("codex-responses-api-proxy"), bytes).unwrap();
}

#[test]
fn the_image_is_the_same_each_time_and_has_both_architectures() {
    let dir = tempfile::tempdir().unwrap();
    put_program(&dir.path().join("one"), &program(ARM64));
    put_program(&dir.path().join("other"), &program(AMD64));
    let [first, second] = ["first.tar", "second.tar"].map(|name| dir.path().join(name));
    for out in [&first, &second] {
        let Some(output) = image(dir.path(), out) else {
            return skipped("python3 is not installed");
        };
        assert!(output.status.success(), "{output:?}");
    }
    let archive = fs::read(first).unwrap();
    assert!(archive == fs::read(second).unwrap());
    let archive = String::from_utf8_lossy(&archive);
    for part in [
        r#"{"architecture":"amd64","os":"linux"}"#,
        r#"{"architecture":"arm64","os":"linux"}"#,
        r#""Entrypoint":["/codex-responses-api-proxy"]"#,
        r#""User":"65532:65532""#,
    ] {
        assert!(archive.contains(part), "{part}");
    }
}

/// It would be made, and start nowhere.
#[test]
fn an_image_of_a_program_that_is_not_static_is_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let mut dynamic = program(AMD64);
    // One program header behind the header, of the type PT_INTERP.
    dynamic[32] = 64;
    (dynamic[54], dynamic[56]) = (56, 1);
    dynamic.extend([3; 1]);
    dynamic.extend([0; 55]);
    for (bytes, reason) in [
        (dynamic, "is not static"),
        (program(243), "is for machine 243"),
        (b"#!/bin/sh\n".to_vec(), "is not a 64-bit ELF program"),
    ] {
        put_program(&dir.path().join("one"), &bytes);
        let out = dir.path().join("image.tar");
        let Some(output) = image(dir.path(), &out) else {
            return skipped("python3 is not installed");
        };
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(reason) && !out.exists(), "{said}");
    }
}
