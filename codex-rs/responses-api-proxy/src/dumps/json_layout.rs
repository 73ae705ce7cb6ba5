//! Lays out a JSON text that arrives in pieces, on lines of its own, as far as it is one. Pure; in bounded memory.
//!
//! What is JSON is what `serde_json` takes for it: RFC 8259, no more than [`MOST_NESTED`] deep, no half of a
//! surrogate pair. Numbers and strings stay as they are written; of names that come twice both stay.

use std::fmt;

/// The deepest nesting, as that of `serde_json`.
const MOST_NESTED: usize = 127;

/// One step of indentation.
const STEP: &[u8] = b"  ";

/// It is not JSON, or not all of one JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson;

impl fmt::Display for NotJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a JSON text")
    }
}

impl std::error::Error for NotJson {}

/// One JSON text on its way.
#[derive(Debug)]
pub(super) struct JsonLayout {
    state: State,
    /// What it is in, from the outside.
    open: Vec<Container>,
    /// How many steps the text as a whole is indented.
    indented: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    Array,
    Object,
}

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Value,
    /// A value, or the end of the array that has just begun.
    FirstElement,
    /// A name, or the end of the object that has just begun.
    FirstName,
    Name,
    Colon,
    /// A comma, or an end.
    AfterValue,
    String(InString, Role),
    Number(InNumber),
    /// The rest of `true`, `false` or `null`.
    Word(&'static [u8]),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Name,
    Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InString {
    Text,
    /// Behind a backslash.
    Escape,
    /// So many of the four digits are still to come; the value of those before; whether the second half of a pair
    /// is due.
    Digits(u8, u16, bool),
    /// Behind the first half of a surrogate pair: a backslash is due.
    Second,
    /// A `u` is due.
    SecondEscape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum InNumber {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl InNumber {
    /// Whether it may be over here.
    const fn is_whole(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits
        )
    }

    /// `None`: this byte does not belong to it.
    const fn then(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') | (Self::Integer, b'0'..=b'9') => Self::Integer,
            (Self::Zero | Self::Integer, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Integer | Self::Fraction, b'e' | b'E') => Self::Exponent,
            (Self::Exponent, b'+' | b'-') => Self::ExponentSign,
            (Self::Exponent | Self::ExponentSign | Self::ExponentDigits, b'0'..=b'9') => {
                Self::ExponentDigits
            }
            _ => return None,
        })
    }
}

/// Whether a JSON text can begin with this byte.
pub(super) const fn may_begin(byte: u8) -> bool {
    is_space(byte)
        || matches!(
            byte,
            b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'
        )
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

impl JsonLayout {
    /// One that stands in a text where lines are indented by so many steps.
    pub(super) const fn new(indented: usize) -> Self {
        Self {
            state: State::Value,
            open: Vec::new(),
            indented,
        }
    }

    /// Takes a piece, and appends it to `out` as it is laid out.
    ///
    /// # Errors
    ///
    /// [`NotJson`]; what was appended is of no use then.
    pub(super) fn push(&mut self, piece: &str, out: &mut Vec<u8>) -> Result<(), NotJson> {
        let mut rest = piece.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            if self.state == State::String(InString::Text, Role::Name)
                || self.state == State::String(InString::Text, Role::Value)
            {
                // Most of a text is in strings.
                let plain = rest
                    .iter()
                    .position(|&byte| byte < 0x20 || matches!(byte, b'"' | b'\\'))
                    .unwrap_or(rest.len());
                let (text, behind) = rest.split_at_checked(plain).ok_or(NotJson)?;
                out.extend_from_slice(text);
                rest = behind;
                if plain > 0 {
                    continue;
                }
            }
            self.take(byte, out)?;
            rest = behind;
        }
        Ok(())
    }

    /// It is over.
    ///
    /// # Errors
    ///
    /// [`NotJson`] if there should be more.
    pub(super) fn finish(&self) -> Result<(), NotJson> {
        let is_whole = match self.state {
            State::AfterValue => true,
            State::Number(number) => number.is_whole(),
            _ => false,
        };
        if is_whole && self.open.is_empty() {
            Ok(())
        } else {
            Err(NotJson)
        }
    }

    fn take(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotJson> {
        if let State::Number(number) = self.state {
            if let Some(next) = number.then(byte) {
                self.state = State::Number(next);
                out.push(byte);
                return Ok(());
            }
            if !number.is_whole() {
                return Err(NotJson);
            }
            self.state = State::AfterValue;
        }
        match self.state {
            State::String(at, role) => return self.take_in_string(at, role, byte, out),
            State::Word(rest) => {
                let (&due, rest) = rest.split_first().ok_or(NotJson)?;
                if byte != due {
                    return Err(NotJson);
                }
                out.push(byte);
                self.state = match rest {
                    [] => State::AfterValue,
                    rest => State::Word(rest),
                };
                return Ok(());
            }
            _ if is_space(byte) => return Ok(()),
            _ => {}
        }
        match (self.state, byte) {
            (State::FirstElement, b']') => {
                self.open.pop();
                out.push(byte);
                self.state = State::AfterValue;
            }
            (State::FirstName, b'}') => {
                self.open.pop();
                out.push(byte);
                self.state = State::AfterValue;
            }
            (State::Value, _) => self.begin_value(byte, out)?,
            (State::FirstElement, _) => {
                self.break_line(out);
                self.begin_value(byte, out)?;
            }
            (State::FirstName | State::Name, b'"') => {
                self.break_line(out);
                out.push(byte);
                self.state = State::String(InString::Text, Role::Name);
            }
            (State::Colon, b':') => {
                out.extend_from_slice(b": ");
                self.state = State::Value;
            }
            (State::AfterValue, b',') => {
                out.push(byte);
                self.state = match self.open.last().ok_or(NotJson)? {
                    Container::Array => {
                        self.break_line(out);
                        State::Value
                    }
                    Container::Object => State::Name,
                };
            }
            (State::AfterValue, b']' | b'}') => {
                let ended = self.open.pop().ok_or(NotJson)?;
                if (ended == Container::Array) != (byte == b']') {
                    return Err(NotJson);
                }
                self.break_line(out);
                out.push(byte);
            }
            _ => return Err(NotJson),
        }
        Ok(())
    }

    fn begin_value(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotJson> {
        self.state = match byte {
            b'[' => self.enter(Container::Array, State::FirstElement)?,
            b'{' => self.enter(Container::Object, State::FirstName)?,
            b'"' => State::String(InString::Text, Role::Value),
            b'-' => State::Number(InNumber::Minus),
            b'0' => State::Number(InNumber::Zero),
            b'1'..=b'9' => State::Number(InNumber::Integer),
            b't' => State::Word(b"rue"),
            b'f' => State::Word(b"alse"),
            b'n' => State::Word(b"ull"),
            _ => return Err(NotJson),
        };
        out.push(byte);
        Ok(())
    }

    fn enter(&mut self, container: Container, then: State) -> Result<State, NotJson> {
        if self.open.len() >= MOST_NESTED {
            return Err(NotJson);
        }
        self.open.push(container);
        Ok(then)
    }

    fn break_line(&self, out: &mut Vec<u8>) {
        out.push(b'\n');
        for _ in 0..self.indented + self.open.len() {
            out.extend_from_slice(STEP);
        }
    }

    fn take_in_string(
        &mut self,
        at: InString,
        role: Role,
        byte: u8,
        out: &mut Vec<u8>,
    ) -> Result<(), NotJson> {
        let next = match (at, byte) {
            (InString::Text, b'"') => {
                self.state = match role {
                    Role::Name => State::Colon,
                    Role::Value => State::AfterValue,
                };
                out.push(byte);
                return Ok(());
            }
            (InString::Text, b'\\') => InString::Escape,
            (InString::Text, 0x20..) => InString::Text,
            (InString::Escape, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => {
                InString::Text
            }
            (InString::Escape, b'u') => InString::Digits(4, 0, false),
            (InString::Second, b'\\') => InString::SecondEscape,
            (InString::SecondEscape, b'u') => InString::Digits(4, 0, true),
            (InString::Digits(left, value, is_second), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(NotJson)?;
                let value = value << 4 | u16::try_from(digit).map_err(|_| NotJson)?;
                match (left, value, is_second) {
                    (2.., _, _) => InString::Digits(left - 1, value, is_second),
                    (_, 0xdc00..=0xdfff, true) => InString::Text,
                    (_, _, true) | (_, 0xdc00..=0xdfff, false) => return Err(NotJson),
                    (_, 0xd800..=0xdbff, false) => InString::Second,
                    _ => InString::Text,
                }
            }
            _ => return Err(NotJson),
        };
        out.push(byte);
        self.state = State::String(next, role);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
