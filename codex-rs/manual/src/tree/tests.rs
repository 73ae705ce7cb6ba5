#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::{Command, CommandFactory};

use super::{named, write};

fn both() -> [Command; 2] {
    [
        named(codex_cli::command(), "codex"),
        codex_responses_api_proxy::Args::command(),
    ]
}

/// Each command, with the name that its page has.
fn walk(command: &Command, found: &mut Vec<(String, Command)>) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    found.push((name.to_owned(), command.clone()));
    for subcommand in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        walk(subcommand, found);
    }
}

fn long_flags(command: &Command) -> BTreeSet<String> {
    let shown = command.get_arguments().filter(|flag| !flag.is_hide_set());
    shown
        .filter_map(|flag| flag.get_long().map(str::to_owned))
        .collect()
}

/// As a reader sees it: roff writes a hyphen as `\-`.
fn page(at: &Path, name: &str) -> String {
    let text = fs::read_to_string(at.join(format!("man/{name}.1"))).unwrap();
    text.replace("\\-", "-")
}

#[test]
fn each_command_has_a_page_that_names_its_flags() {
    for mut program in both() {
        let dir = tempfile::tempdir().unwrap();
        write(program.clone(), dir.path(), "2026-11-29").unwrap();
        program = program.disable_help_subcommand(true);
        program.build();
        let mut commands = Vec::new();
        walk(&program, &mut commands);
        assert!(commands.len() > 5, "{}", commands.len());
        assert_eq!(
            fs::read_dir(dir.path().join("man")).unwrap().count(),
            commands.len()
        );
        for (name, command) in commands {
            let page = page(dir.path(), &name);
            assert!(page.contains(codex_version::VERSION), "{name}");
            for flag in long_flags(&command) {
                assert!(page.contains(&format!("--{flag}")), "{name} lacks --{flag}");
            }
        }
    }
}

#[test]
fn completions_are_where_shells_look_for_them() {
    let dir = tempfile::tempdir().unwrap();
    write(named(codex_cli::command(), "codex-proxy"), dir.path(), "").unwrap();
    for (file, word) in [
        ("bash/codex-proxy", " codex-proxy\n"),
        ("zsh/_codex-proxy", "#compdef codex-proxy\n"),
        ("fish/codex-proxy.fish", "complete -c codex-proxy "),
    ] {
        let script = fs::read_to_string(dir.path().join(file)).unwrap();
        assert!(
            script.contains(word) && script.contains("server-info"),
            "{file}"
        );
    }
}

/// A package is the same wherever it is made.
#[test]
fn nothing_depends_on_this_machine_or_this_time() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    for dir in [&one, &other] {
        for program in both() {
            write(program, dir.path(), "2026-11-29").unwrap();
        }
    }
    for entry in fs::read_dir(one.path().join("man")).unwrap() {
        let name = entry.unwrap().file_name();
        let [first, second] =
            [&one, &other].map(|dir| fs::read(dir.path().join("man").join(&name)).unwrap());
        assert!(first == second, "{name:?}");
    }
}
