//! A conversation as a Markdown file.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crate::conversation::item::{Item, Role};

/// The conversation, a heading for each who speaks.
pub(super) fn markdown(items: &[Item]) -> String {
    let mut text = String::new();
    for item in items {
        let who = match item.role() {
            Some(Role::User) => "You",
            Some(Role::Assistant) => "Model",
            Some(Role::Developer) | None => continue,
        };
        if let Some(said) = item.text() {
            text.push_str(&format!("## {who}\n\n{}\n\n", said.trim_end()));
        }
    }
    text.truncate(text.trim_end().len() + 1);
    text
}

/// Writes a file that was not there, for its owner alone.
///
/// # Errors
///
/// Those of `open(2)`, `EEXIST` above all, and of writing.
pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_as_it_is_saved() {
        let items = [
            Item::of_developer("be brief"),
            Item::question("what?".to_owned()),
            Item::answer("that\n".to_owned()),
        ];
        assert_eq!(markdown(&items), "## You\n\nwhat?\n\n## Model\n\nthat\n");
        assert_eq!(markdown(&[]), "");
    }

    #[test]
    fn a_file_is_never_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.md");
        assert!(write(&path, "a").is_ok());
        assert!(write(&path, "b").is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "a");
    }
}
