//! The question: from the argument, from standard input, or both, and its images.

pub(crate) mod attachments;
pub(crate) mod error;
mod images;
pub(crate) mod stdin;
mod text;

use crate::config::args::Common;
use crate::conversation::Question;
use crate::prompt::attachments::Attachments;
use crate::prompt::error::PromptError;
use crate::prompt::stdin::{read_stdin, stdin_is_terminal};

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
    let mut notes = Vec::new();
    let mut piped = || {
        let read = read_stdin(!args.quiet && prompt.is_some_and(|prompt| prompt != "-"))?;
        notes.extend(read.note("standard input"));
        match read.text {
            text if is_like_a_key(&text) => Err(PromptError::LooksLikeKey("standard input")),
            text => Ok(text),
        }
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
    let mut question = question_of(text, Attachments::read(args)?)?;
    question.attached.notes.extend(notes);
    Ok(question)
}

/// The same of a text that is there already.
///
/// # Errors
///
/// [`PromptError`]: it is empty, or looks like a key.
pub(crate) fn question_of(text: String, attached: Attachments) -> Result<Question, PromptError> {
    if text.trim().is_empty() {
        return Err(PromptError::Empty);
    }
    if is_like_a_key(&text) {
        return Err(PromptError::LooksLikeKey("the prompt"));
    }
    Ok(Question { text, attached })
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
    fn an_empty_question_is_none() {
        assert!(matches!(
            question_of(" \n".to_owned(), Attachments::default()),
            Err(PromptError::Empty)
        ));
    }
}
