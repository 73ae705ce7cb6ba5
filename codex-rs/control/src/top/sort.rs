//! Pure: in which order requests in flight are shown.

use std::cmp::Ordering;

use crate::status::Stream;

/// By what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Sort {
    /// The oldest first.
    #[default]
    Age,
    /// Those with most first.
    Tokens,
    /// The fastest first.
    Speed,
    /// By name.
    Caller,
    /// By name.
    Model,
}

impl Sort {
    /// The key of this letter.
    pub(super) fn of_key(key: char) -> Option<Self> {
        Some(match key {
            'a' => Self::Age,
            't' => Self::Tokens,
            's' => Self::Speed,
            'c' => Self::Caller,
            'm' => Self::Model,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Age => "age",
            Self::Tokens => "tokens",
            Self::Speed => "speed",
            Self::Caller => "caller",
            Self::Model => "model",
        }
    }

    /// Which of two comes first; of equal ones the older.
    pub(super) fn compare(self, a: &Stream, b: &Stream) -> Ordering {
        let most_first = |a: f64, b: f64| b.total_cmp(&a);
        let order = match self {
            Self::Age => Ordering::Equal,
            Self::Tokens => b.tokens.cmp(&a.tokens),
            Self::Speed => most_first(a.tokens_per_second, b.tokens_per_second),
            Self::Caller => a.caller.cmp(&b.caller),
            Self::Model => a.model.cmp(&b.model),
        };
        order
            .then_with(|| most_first(a.age_seconds, b.age_seconds))
            .then_with(|| a.id.cmp(&b.id))
    }
}
