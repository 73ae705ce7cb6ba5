//! The manual pages and completions of one program.

use std::fs;
use std::io;
use std::path::Path;

use clap::Command;
use clap_complete::Shell;
use clap_mangen::Man;

/// Where the completions for a shell go; the name of the file is what the shell looks for.
const SHELLS: [(&str, Shell); 3] = [
    ("bash", Shell::Bash),
    ("zsh", Shell::Zsh),
    ("fish", Shell::Fish),
];

/// The same tree for a program that is installed as `name`.
pub(crate) fn named(command: Command, name: &'static str) -> Command {
    command.name(name).bin_name(name)
}

/// Writes a page for the program and for each subcommand, and a completion for each shell, into directories of `out`.
/// `date` is that of the pages.
///
/// # Errors
///
/// Those of making directories and writing files.
pub(crate) fn write(command: Command, out: &Path, date: &str) -> io::Result<()> {
    let name = command.get_name().to_owned();
    let pages = out.join("man");
    fs::create_dir_all(&pages)?;
    // As clap_mangen does it: a page for each way to ask for help says nothing.
    let mut tree = command.clone().disable_help_subcommand(true);
    tree.build();
    write_pages(&tree, &pages, &name, date)?;
    for (directory, shell) in SHELLS {
        let directory = out.join(directory);
        fs::create_dir_all(&directory)?;
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut command.clone(), name.as_str(), &mut script);
        let file = match shell {
            Shell::Zsh => format!("_{name}"),
            Shell::Fish => format!("{name}.fish"),
            _ => name.clone(),
        };
        fs::write(directory.join(file), script)?;
    }
    Ok(())
}

fn write_pages(command: &Command, into: &Path, program: &str, date: &str) -> io::Result<()> {
    for subcommand in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        write_pages(subcommand, into, program, date)?;
    }
    let page = Man::new(command.clone())
        .date(date)
        .source(format!("{program} {}", codex_version::VERSION));
    page.generate_to(into)?;
    Ok(())
}

#[cfg(test)]
mod tests;
