//! Why there is no question to ask.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::prompt::images::MAX_IMAGE;
use crate::prompt::stdin::MAX_TEXT;

/// Why there is no question to ask.
#[derive(Debug)]
pub(crate) enum PromptError {
    Nothing,
    Empty,
    Stdin(io::Error),
    StdinTooLong,
    StdinNotText,
    LooksLikeKey(&'static str),
    /// A file or an image.
    Unread(PathBuf, io::Error),
    FileTooLarge(PathBuf),
    FileNotText(PathBuf),
    ImageTooLarge(PathBuf),
    NotAnImage(PathBuf),
}

impl PromptError {
    /// Whether the command line is what has to be mended.
    pub(crate) fn is_usage(&self) -> bool {
        matches!(self, Self::Nothing | Self::Empty | Self::LooksLikeKey(_))
    }
}

impl fmt::Display for PromptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str(
                "no prompt: give it as an argument, or pipe it into standard input (see --help)",
            ),
            Self::Empty => f.write_str("the prompt is empty"),
            Self::Stdin(cause) => {
                write!(f, "could not read the prompt from standard input: {cause}")
            }
            Self::StdinTooLong => write!(
                f,
                "standard input holds more than {} MiB, too much for a prompt",
                MAX_TEXT >> 20
            ),
            Self::StdinNotText => f.write_str("standard input is not text"),
            Self::LooksLikeKey(place) => write!(
                f,
                "{place} looks like an API key, which would go to the model as text; to give a \
                 key to the proxy, run codex responses-api-proxy"
            ),
            Self::Unread(path, cause) => write!(f, "could not read {}: {cause}", path.display()),
            Self::FileTooLarge(path) => write!(
                f,
                "{} is larger than {} MiB, too much for a prompt",
                path.display(),
                MAX_TEXT >> 20
            ),
            Self::FileNotText(path) => write!(
                f,
                "{} is not a text file (for an image use --image)",
                path.display()
            ),
            Self::ImageTooLarge(path) => write!(
                f,
                "{} is larger than {} MiB",
                path.display(),
                MAX_IMAGE >> 20
            ),
            Self::NotAnImage(path) => {
                write!(
                    f,
                    "{} is not a PNG, JPEG, GIF or WebP image",
                    path.display()
                )
            }
        }
    }
}

impl std::error::Error for PromptError {}
