//! The question: from the argument, from standard input, or both, and its images.

use std::fmt;
use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::config::args::Common;
use crate::conversation::Question;

/// The most that is read from standard input, and of an image, in bytes: a proxy lets 64 MiB pass
/// in all, and base64 makes four bytes of three.
const MAX_TEXT: u64 = 16 << 20;
const MAX_IMAGE: u64 = 20 << 20;
/// How long standard input may be silent before that is mentioned.
const SILENCE: Duration = Duration::from_secs(2);

/// Why there is no question to ask.
#[derive(Debug)]
pub(crate) enum PromptError {
    Nothing,
    Empty,
    Stdin(io::Error),
    StdinTooLong,
    StdinNotText,
    LooksLikeKey(&'static str),
    Image(PathBuf, io::Error),
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
            Self::StdinNotText => f.write_str("standard input is not UTF-8 text"),
            Self::LooksLikeKey(place) => write!(
                f,
                "{place} looks like an API key, which would go to the model as text; to give a \
                 key to the proxy, run codex responses-api-proxy"
            ),
            Self::Image(path, cause) => write!(f, "could not read {}: {cause}", path.display()),
            Self::ImageTooLarge(path) => write!(
                f,
                "{} is larger than {} MiB",
                path.display(),
                MAX_IMAGE >> 20
            ),
            Self::NotAnImage(path) => {
                write!(f, "{} is no PNG, JPEG, GIF or WebP image", path.display())
            }
        }
    }
}

impl std::error::Error for PromptError {}

/// Puts the question together. Standard input is read to its end unless it is a terminal that
/// nobody asked for.
///
/// # Errors
///
/// [`PromptError`]: nothing to ask, or it cannot be read.
pub(crate) fn question(args: &Common) -> Result<Question, PromptError> {
    let prompt = args.prompt.as_deref();
    if prompt.is_some_and(is_like_a_key) {
        return Err(PromptError::LooksLikeKey("the prompt"));
    }
    let piped = || match read_stdin(!args.quiet && prompt.is_some_and(|prompt| prompt != "-"))? {
        text if is_like_a_key(&text) => Err(PromptError::LooksLikeKey("standard input")),
        text => Ok(text),
    };
    let text = match prompt {
        None if stdin_is_terminal() => return Err(PromptError::Nothing),
        None | Some("-") => {
            let text = piped()?;
            if text.is_empty() {
                return Err(PromptError::Nothing);
            }
            text
        }
        Some(prompt) if stdin_is_terminal() => prompt.to_owned(),
        Some(prompt) => with_context(prompt, &piped()?),
    };
    question_of(text, images(&args.image)?)
}

/// The images of a question, as the Responses API takes them.
///
/// # Errors
///
/// The first that cannot be read, or is none.
pub(crate) fn images(paths: &[PathBuf]) -> Result<Vec<String>, PromptError> {
    paths.iter().map(|path| data_url(path)).collect()
}

/// The same of a text that is there already.
pub(crate) fn question_of(text: String, images: Vec<String>) -> Result<Question, PromptError> {
    if text.trim().is_empty() {
        return Err(PromptError::Empty);
    }
    if is_like_a_key(&text) {
        return Err(PromptError::LooksLikeKey("the prompt"));
    }
    Ok(Question { text, images })
}

/// Marked as Codex marks it.
fn with_context(prompt: &str, context: &str) -> String {
    if context.trim().is_empty() {
        return prompt.to_owned();
    }
    let end = if context.ends_with('\n') { "" } else { "\n" };
    format!("{prompt}\n\n<stdin>\n{context}{end}</stdin>")
}

/// Somebody who mistypes `responses-api-proxy` must not send the key on standard input to a model.
pub(crate) fn is_like_a_key(text: &str) -> bool {
    let text = text.trim();
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.starts_with("sk-") && text.len() >= 20 && text.chars().all(is_part)
}

/// Whether standard input is a terminal.
#[allow(clippy::disallowed_methods, reason = "only looked at")]
pub(crate) fn stdin_is_terminal() -> bool {
    io::stdin().is_terminal()
}

fn read_stdin(says_so: bool) -> Result<String, PromptError> {
    let (done, waiting) = mpsc::channel();
    if says_so {
        // A pipe that nobody closes would otherwise look like a hang.
        std::thread::spawn(move || {
            if waiting.recv_timeout(SILENCE) == Err(mpsc::RecvTimeoutError::Timeout) {
                let note = b"waiting for the end of standard input, which goes along as context \
                             (</dev/null for none)\n";
                let _ = io::stderr().write_all(note);
            }
        });
    }
    let mut bytes = Vec::new();
    #[allow(clippy::disallowed_methods, reason = "a prompt is not a key")]
    let stdin = io::stdin().lock();
    let read = stdin.take(MAX_TEXT + 1).read_to_end(&mut bytes);
    let _ = done.send(());
    match read {
        Ok(length) if length as u64 > MAX_TEXT => Err(PromptError::StdinTooLong),
        Ok(_) => String::from_utf8(bytes).map_err(|_| PromptError::StdinNotText),
        Err(cause) => Err(PromptError::Stdin(cause)),
    }
}

/// An image as the Responses API takes it in a request.
fn data_url(path: &Path) -> Result<String, PromptError> {
    let fault = |cause| PromptError::Image(path.to_owned(), cause);
    let mut bytes = Vec::new();
    let length = File::open(path)
        .and_then(|file| file.take(MAX_IMAGE + 1).read_to_end(&mut bytes))
        .map_err(fault)?;
    if length as u64 > MAX_IMAGE {
        return Err(PromptError::ImageTooLarge(path.to_owned()));
    }
    let kind = media_type(&bytes).ok_or_else(|| PromptError::NotAnImage(path.to_owned()))?;
    Ok(format!("data:{kind};base64,{}", STANDARD.encode(&bytes)))
}

/// By what the file begins with; a name may say anything.
fn media_type(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some("image/png"),
        [0xff, 0xd8, 0xff, ..] => Some("image/jpeg"),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Some("image/gif"),
        [
            b'R',
            b'I',
            b'F',
            b'F',
            _,
            _,
            _,
            _,
            b'W',
            b'E',
            b'B',
            b'P',
            ..,
        ] => Some("image/webp"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_is_marked() {
        assert_eq!(with_context("p", "c\n"), "p\n\n<stdin>\nc\n</stdin>");
        assert_eq!(with_context("p", "c"), "p\n\n<stdin>\nc\n</stdin>");
        assert_eq!(with_context("p", " \n"), "p");
    }

    #[test]
    fn a_key_is_recognised() {
        assert!(is_like_a_key(" sk-proj-abcdefghijklmnop_1\n"));
        assert!(!is_like_a_key("sk-short"));
        assert!(!is_like_a_key("sk-proj-abcdefghijklmnop is what?"));
        assert!(!is_like_a_key("what is an api key"));
    }

    #[test]
    fn images_are_known_by_their_content() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.png");
        std::fs::write(&path, b"GIF89a...").unwrap();
        assert_eq!(
            data_url(&path).unwrap(),
            "data:image/gif;base64,R0lGODlhLi4u"
        );
        std::fs::write(&path, b"no image").unwrap();
        assert!(matches!(data_url(&path), Err(PromptError::NotAnImage(_))));
        let missing = directory.path().join("none");
        assert!(matches!(data_url(&missing), Err(PromptError::Image(..))));
    }

    #[test]
    fn an_empty_question_is_none() {
        assert!(matches!(
            question_of(" \n".to_owned(), Vec::new()),
            Err(PromptError::Empty)
        ));
    }
}
