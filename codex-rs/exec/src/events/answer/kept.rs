//! Pure: what of an answer is sent back with the next question.

use super::{AnswerError, MAX_TEXT};
use crate::conversation::item::Item;
use crate::events::item::Reasoning;

/// Complete items, in their order.
#[derive(Debug, Default)]
pub(super) struct Kept {
    items: Vec<Of>,
    /// How many bytes of reasoning there are.
    reasoning: usize,
}

#[derive(Debug)]
enum Of {
    Message(String),
    Reasoning(Reasoning),
}

impl Kept {
    pub(super) fn message(&mut self, text: String) {
        self.items.push(Of::Message(text));
    }

    /// Keeps reasoning of so many bytes.
    ///
    /// # Errors
    ///
    /// There is more of it than is kept.
    pub(super) fn reasoning(
        &mut self,
        reasoning: Reasoning,
        size: usize,
    ) -> Result<(), AnswerError> {
        self.reasoning = self.reasoning.saturating_add(size);
        if self.reasoning > MAX_TEXT {
            return Err(AnswerError::TooLong);
        }
        self.items.push(Of::Reasoning(reasoning));
        Ok(())
    }

    /// No server takes reasoning back without the item that it led to, which is not kept.
    pub(super) fn forget_reasoning(&mut self) {
        while let Some(Of::Reasoning(_)) = self.items.last() {
            self.items.pop();
        }
    }

    /// The items; empty where the messages are not all of the `text`.
    pub(super) fn items(mut self, text: String) -> Vec<Item> {
        let messages = self.items.iter().filter_map(|of| match of {
            Of::Message(text) => Some(text.as_str()),
            Of::Reasoning(_) => None,
        });
        let messages: Vec<&str> = messages.collect();
        // Some servers only send the pieces of a message, or say something else at its end.
        if messages.is_empty() {
            self.message(text);
        } else if messages.join("\n\n") != text {
            return Vec::new();
        }
        // Nothing came of what is behind the last message.
        self.forget_reasoning();
        let item = |of| match of {
            Of::Message(text) => Item::answer(text),
            Of::Reasoning(reasoning) => reasoning.into(),
        };
        self.items.into_iter().map(item).collect()
    }
}
