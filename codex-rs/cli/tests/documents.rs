//! The documents tell the truth about tests and files.
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
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

/// The names of all functions behind a `#[test]`, property tests included, and of
/// the files that hold tests.
fn tests() -> BTreeSet<String> {
    let mut files = Vec::new();
    sources(&root().join("codex-rs"), &mut files);
    let mut names = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let marks = ["#[test]", "#[tokio::test", "proptest!"];
        if !marks.iter().any(|mark| text.contains(mark)) {
            continue;
        }
        names.insert(file.file_stem().unwrap().to_string_lossy().into_owned());
        let functions = text.lines().filter_map(|line| {
            let line = line.trim_start();
            line.strip_prefix("async ")
                .unwrap_or(line)
                .strip_prefix("fn ")
        });
        names.extend(functions.filter_map(|line| Some(line.split_once('(')?.0.to_owned())));
    }
    names
}

/// The last column of every table row that names something in backticks there.
fn named_in_last_column(document: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    text.lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| ---"))
        .filter_map(|line| line.trim_end().strip_suffix('|')?.rsplit('|').next())
        .filter_map(|cell| cell.trim().strip_prefix('`')?.split('`').next())
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_test_that_is_named_is_there() {
    let tests = tests();
    for document in ["docs/threat-model.md", "docs/differences.md"] {
        let named = named_in_last_column(document);
        assert!(named.len() > 20, "{document} names only {}", named.len());
        for name in named {
            assert!(
                tests.contains(&name),
                "{document} names the test {name}, which is not there"
            );
        }
    }
}

/// An incident names its tests in lines that begin with `Test:`.
#[test]
fn every_test_of_an_incident_is_there() {
    let tests = tests();
    let text = fs::read_to_string(root().join("docs/incidents.md")).unwrap();
    let incidents: Vec<&str> = text.split("\n### ").skip(1).collect();
    assert!(incidents.len() >= 20, "{}", incidents.len());
    for incident in incidents {
        let (title, rest) = incident.split_once('\n').unwrap();
        let behind = rest.split_once("Test: ");
        let (_, named) = behind.unwrap_or_else(|| panic!("{title} names no test"));
        let named = named.split("\n## ").next().unwrap();
        let names: Vec<&str> = named.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{title}");
        for name in names {
            assert!(
                tests.contains(name),
                "{title} names {name}, which is not there"
            );
        }
    }
}

#[test]
fn every_file_that_is_named_is_there() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let named: Vec<&str> = text
        .split('`')
        .filter(|word| word.contains("/src/") && !word.contains(' '))
        .collect();
    assert!(named.len() > 20);
    for file in named {
        assert!(
            root().join("codex-rs").join(file).is_file(),
            "{file} is not there"
        );
    }
}

/// The crates whose files docs/architecture.md lists one by one, each beneath its heading.
const LISTED: [(&str, &str); 2] = [
    ("responses-api-proxy", "## The source of the proxy"),
    ("exec", "## The source of the chat client"),
];

/// The part of docs/architecture.md beneath a heading.
fn part_of_the_map(heading: &str) -> String {
    let map = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let part = map.split(heading).nth(1).unwrap();
    part.split("\n## ").next().unwrap().to_owned()
}

#[test]
fn every_file_on_the_map_is_there() {
    for (of, heading) in LISTED {
        let src = root().join("codex-rs").join(of).join("src");
        let part = part_of_the_map(heading);
        let table = part.split("\n| file |").nth(1).unwrap();
        let named: Vec<&str> = table
            .split('`')
            .filter(|word| word.contains(".rs") || word.ends_with('/'))
            .filter(|word| !word.contains(' ') && *word != "mod.rs" && *word != "fuzz/")
            .collect();
        assert!(named.len() > 20, "{named:?}");
        for file in named {
            let is_there = src.join(file).exists() || file == "tls.rs";
            assert!(
                is_there,
                "docs/architecture.md names {file} of {of}, which is not there"
            );
        }
    }
}

/// Each file by its path, or the folder that it is in; tests and `mod.rs` are a part of what they are beside.
#[test]
fn every_file_is_on_the_map() {
    fn walk(dir: &Path, src: &Path, part: &str) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(src).unwrap().to_str().unwrap();
            let file = path.file_name().unwrap().to_str().unwrap();
            let is_whole = part.contains(&format!("| `{name}/`"));
            let is_tests = file == "tests";
            if path.is_dir() && !is_whole && !is_tests {
                walk(&path, src, part);
            } else if path.is_file()
                && !matches!(file, "lib.rs" | "main.rs" | "mod.rs" | "tests.rs")
            {
                let is_named = part.contains(&format!("`{name}`"));
                assert!(
                    is_named,
                    "docs/architecture.md does not name {name} of {}",
                    src.display()
                );
            }
        }
    }
    for (of, heading) in LISTED {
        let src = root().join("codex-rs").join(of).join("src");
        walk(&src, &src, &part_of_the_map(heading));
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents: Vec<PathBuf> = fs::read_dir(root().join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect();
    documents.push(root().join("README.md"));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            let file = link.split('#').next().unwrap();
            if !file.is_empty() && !file.contains("://") {
                let target = document.parent().unwrap().join(file);
                assert!(target.exists(), "{} links to {link}", document.display());
            }
        }
    }
}

/// No code keeps root out, so the document must not leave a way out.
#[test]
fn the_ways_that_root_has_to_the_key_are_named() {
    let text = fs::read_to_string(root().join("docs/threat-model.md")).unwrap();
    let ways = text.split("## Out of scope").nth(1).unwrap();
    for way in ["ptrace", "uprobe", "perf", "BPF", "kernel module"] {
        assert!(ways.contains(way), "{way} is not named");
    }
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(readme.contains("(docs/threat-model.md#out-of-scope)"));
    assert!(!text.contains("nothing of it by looking"));
}
