//! What goes along with a question: images, and text files with their names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::config::args::Common;
use crate::prompt::error::PromptError;
use crate::prompt::images::images;
use crate::prompt::stdin::MAX_TEXT;
use crate::prompt::text::decode;

/// What goes along with a question.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attachments {
    /// Text files, each marked with its name.
    pub(crate) files: Vec<String>,
    /// As `data:` URLs.
    pub(crate) images: Vec<String>,
    /// What has to be said about them.
    pub(crate) notes: Vec<String>,
}

impl Attachments {
    /// Reads what the flags name.
    ///
    /// # Errors
    ///
    /// The first that cannot be read, or is not what it is given for.
    pub(crate) fn read(args: &Common) -> Result<Self, PromptError> {
        let mut read = Self::default();
        for path in &args.file {
            let (text, note) = text_file(path)?;
            read.files.push(text);
            read.notes.extend(note);
        }
        read.images = images(&args.image)?;
        Ok(read)
    }
}

fn text_file(path: &Path) -> Result<(String, Option<String>), PromptError> {
    let mut bytes = Vec::new();
    let length = File::open(path)
        .and_then(|file| file.take(MAX_TEXT + 1).read_to_end(&mut bytes))
        .map_err(|cause| PromptError::Unread(path.to_owned(), cause))?;
    if length as u64 > MAX_TEXT {
        return Err(PromptError::FileTooLarge(path.to_owned()));
    }
    let name = path.display().to_string();
    let text = decode(bytes).ok_or_else(|| PromptError::FileNotText(path.to_owned()))?;
    let note = text.note(&name);
    Ok((marked(&name, &text.text), note))
}

/// Marked as standard input is, with the name it has.
fn marked(name: &str, text: &str) -> String {
    let name = name
        .replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace(['\n', '\r'], " ");
    let end = if text.ends_with('\n') || text.is_empty() {
        ""
    } else {
        "\n"
    };
    format!("<file name=\"{name}\">\n{text}{end}</file>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_marked_with_its_name() {
        assert_eq!(
            marked("a \"b\".rs", "x\ny"),
            "<file name=\"a &quot;b&quot;.rs\">\nx\ny\n</file>"
        );
    }
}
