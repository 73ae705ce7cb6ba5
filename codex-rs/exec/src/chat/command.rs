//! Pure: lines that are commands to the chat and not questions.

use std::path::PathBuf;

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    Question(String),
    Command(Command),
    /// A command that there is not, or one with words that it does not take.
    Wrong(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Exit,
    Clear,
    Copy,
    Model(Option<String>),
    Resume(Option<String>),
    Save(Option<PathBuf>),
}

/// Name, argument and purpose of each, as the help shows them.
pub(crate) const COMMANDS: [(&str, &str, &str); 7] = [
    ("/clear", "", "begin a new conversation"),
    (
        "/copy",
        "",
        "put the last answer into the terminal's clipboard",
    ),
    ("/exit", "", "leave, as Ctrl-D does"),
    ("/help", "", "show this"),
    (
        "/model",
        "[NAME]",
        "ask another model from now on, or say which there are",
    ),
    (
        "/resume",
        "[ID]",
        "go on with an earlier conversation, or list those of this directory",
    ),
    (
        "/save",
        "[FILE]",
        "write the conversation to a new file, as Markdown",
    ),
];

/// Reads a line. A command is a word of letters behind a slash, so that a path is a question.
pub(super) fn read(line: &str) -> Input {
    let typed = line.trim_end();
    let (word, rest) = typed.split_once(' ').unwrap_or((typed, ""));
    let is_command = word.len() > 1
        && word
            .strip_prefix('/')
            .is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_lowercase()))
        && !typed.contains('\n');
    if !is_command {
        return Input::Question(line.to_owned());
    }
    let argument = Some(rest.trim()).filter(|rest| !rest.is_empty());
    let command = match word {
        "/clear" => Command::Clear,
        "/copy" => Command::Copy,
        "/exit" | "/quit" => Command::Exit,
        "/help" => Command::Help,
        "/model" => return Input::Command(Command::Model(argument.map(str::to_owned))),
        "/resume" => return Input::Command(Command::Resume(argument.map(str::to_owned))),
        "/save" => return Input::Command(Command::Save(argument.map(PathBuf::from))),
        _ => {
            return Input::Wrong(format!(
                "there is no command {word}; /help lists them, and a line that begins with a \
                 space is a question"
            ));
        }
    };
    match argument {
        None => Input::Command(command),
        Some(_) => Input::Wrong(format!("{word} takes nothing behind it")),
    }
}

/// The commands that begin like this.
pub(crate) fn completions(typed: &str) -> Vec<&'static str> {
    let names = COMMANDS.iter().map(|(name, _, _)| *name);
    names
        .filter(|name| typed.starts_with('/') && name.starts_with(typed))
        .collect()
}

/// All commands, one a line.
pub(super) fn help() -> Vec<String> {
    let width = COMMANDS
        .iter()
        .map(|(name, argument, _)| name.len() + argument.len());
    let width = width.max().unwrap_or(0) + 1;
    COMMANDS
        .iter()
        .map(|(name, argument, purpose)| {
            format!("{:width$}  {purpose}", format!("{name} {argument}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_questions() {
        for question in [
            "hi",
            "/etc/passwd is what?",
            " /help",
            "/",
            "/Help",
            "/help\nme",
            "/1",
            "",
        ] {
            assert_eq!(read(question), Input::Question(question.to_owned()));
        }
        for (line, command) in [
            ("/help", Command::Help),
            ("/exit ", Command::Exit),
            ("/quit", Command::Exit),
            ("/model", Command::Model(None)),
            ("/model  a b ", Command::Model(Some("a b".to_owned()))),
            ("/save x.md", Command::Save(Some("x.md".into()))),
            ("/resume 2", Command::Resume(Some("2".to_owned()))),
        ] {
            assert_eq!(read(line), Input::Command(command), "{line}");
        }
        for line in ["/frobnicate", "/copy it"] {
            assert!(matches!(read(line), Input::Wrong(_)), "{line}");
        }
    }

    #[test]
    fn what_a_tab_completes() {
        assert_eq!(completions("/c"), ["/clear", "/copy"]);
        assert_eq!(completions("/mo"), ["/model"]);
        assert!(completions("c").is_empty());
        assert!(completions("").is_empty());
        assert_eq!(completions("/").len(), COMMANDS.len());
    }

    #[test]
    fn every_command_is_in_the_help_and_there() {
        for ((name, _, _), line) in COMMANDS.iter().zip(help()) {
            assert!(line.starts_with(name), "{line}");
            assert!(matches!(read(name), Input::Command(_)), "{name}");
        }
    }
}
