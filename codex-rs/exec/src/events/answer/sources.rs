//! Pure: what a text refers to.

use crate::events::item::Annotation;
use crate::terminal::printable::excerpt;

/// How many sources are named, and how much is shown of each, in characters.
const MAX_SOURCES: usize = 50;
const MAX_SOURCE: usize = 300;

/// Sources, each once.
#[derive(Debug, Default)]
pub(super) struct Sources(Vec<String>);

impl Sources {
    pub(super) fn cite(&mut self, annotations: &[Annotation]) {
        for source in annotations.iter().filter_map(Annotation::source) {
            let source = excerpt(&source, MAX_SOURCE);
            if self.0.len() < MAX_SOURCES && !self.0.contains(&source) {
                self.0.push(source);
            }
        }
    }

    pub(super) fn all(&self) -> &[String] {
        &self.0
    }
}
