//! How a piece of text looks, and the escape sequences for it: the only ones that go to a terminal among an answer.

use crate::terminal::printable::printable;

/// The colours of the terminal's own palette, which fits its background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Colour {
    Red = 31,
    Green = 32,
    Yellow = 33,
    Magenta = 35,
    Cyan = 36,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) italic: bool,
    pub(super) underlined: bool,
    pub(super) struck: bool,
    pub(super) colour: Option<Colour>,
}

impl Style {
    pub(super) const BOLD: Self = Self {
        bold: true,
        ..Self::PLAIN
    };
    pub(super) const DIM: Self = Self {
        dim: true,
        ..Self::PLAIN
    };
    pub(super) const PLAIN: Self = Self {
        bold: false,
        dim: false,
        italic: false,
        underlined: false,
        struck: false,
        colour: None,
    };

    pub(super) fn coloured(colour: Colour) -> Self {
        Self {
            colour: Some(colour),
            ..Self::PLAIN
        }
    }

    /// Adds the text in this style: one line, without anything in it that steers a terminal. A tab
    /// is kept.
    pub(super) fn paint(self, text: &str, out: &mut String) {
        if text.is_empty() {
            return;
        }
        // A reference such as &#10; is a line break only now.
        let text = printable(text).replace('\n', " ");
        if self == Self::PLAIN {
            out.push_str(&text);
            return;
        }
        let codes = [
            (self.bold, 1),
            (self.dim, 2),
            (self.italic, 3),
            (self.underlined, 4),
            (self.struck, 9),
        ];
        let codes = codes.into_iter().filter(|(is_set, _)| *is_set);
        let colour = self.colour.map(|colour| colour as u8);
        let codes: Vec<String> = codes
            .map(|(_, code)| code)
            .chain(colour)
            .map(|code| code.to_string())
            .collect();
        out.push_str("\u{1b}[");
        out.push_str(&codes.join(";"));
        out.push('m');
        out.push_str(&text);
        out.push_str("\u{1b}[0m");
    }
}

/// A piece of text in one style.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) text: String,
    pub(super) style: Style,
}

impl Span {
    pub(super) fn new(text: impl Into<String>, style: Style) -> Self {
        Self {
            text: text.into(),
            style,
        }
    }
}
