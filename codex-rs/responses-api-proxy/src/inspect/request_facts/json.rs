//! A strict reader of JSON (RFC 8259) that arrives in pieces, cut anywhere: a state for each place in the grammar.
//!
//! It accepts what `serde_json` accepts, with these differences: the document is an object, nesting may be one deeper,
//! and a number may be too large for a double.

mod number;
mod text;

use codex_policy::Facts;

use self::number::Number;
use self::text::Text;
use super::malformed::Malformed;
use super::members::{Members, Value};

/// How many arrays and objects may be in each other.
pub(super) const MAX_DEPTH: u32 = u128::BITS;

/// A document that is being read.
pub(super) struct Document {
    state: State,
    nesting: Nesting,
    text: Text,
    members: Members,
}

enum State {
    /// Before the document.
    Start,
    /// Before a value that has to come.
    Value,
    /// After `[`.
    ItemOrEnd,
    /// After `{`.
    NameOrEnd,
    /// After a comma in an object.
    NameBegins,
    /// In a name.
    Name,
    /// After a name.
    Colon,
    Text,
    Number(Number),
    /// In `null`, `true` or `false`: what is left of it, and what it means.
    Literal(&'static [u8], Value<'static>),
    /// After a value.
    CommaOrEnd,
    /// After the document.
    End,
}

/// The arrays and objects around a place, the innermost in the lowest bit.
#[derive(Default)]
struct Nesting {
    objects: u128,
    depth: u32,
}

impl Document {
    pub(super) fn new() -> Self {
        Self {
            state: State::Start,
            nesting: Nesting::default(),
            text: Text::default(),
            members: Members::new(),
        }
    }

    pub(super) fn push(&mut self, mut rest: &[u8]) -> Result<(), Malformed> {
        while let Some((&first, after)) = rest.split_first() {
            rest = match &mut self.state {
                State::Name | State::Text => self.text(rest)?,
                State::Number(number) => match number.next(first)? {
                    Some(next) => {
                        *number = next;
                        after
                    }
                    // This byte is not part of it.
                    None => {
                        let digits = number.digits();
                        self.value(Value::Number(digits))?;
                        rest
                    }
                },
                State::Literal(left, value) => {
                    let Some((&expected, left_after)) = left.split_first() else {
                        return Err(Malformed::NotJson);
                    };
                    if first != expected {
                        return Err(Malformed::NotJson);
                    }
                    *left = left_after;
                    if left_after.is_empty() {
                        let value = *value;
                        self.value(value)?;
                    }
                    after
                }
                _ => {
                    if let b' ' | b'\t' | b'\n' | b'\r' = first {
                        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
                        let spaces = after.iter().take_while(|byte| is_space(byte)).count();
                        after.get(spaces..).unwrap_or_default()
                    } else {
                        self.structural(first)?;
                        after
                    }
                }
            };
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Facts, Malformed> {
        match self.state {
            State::Start => Err(Malformed::Empty),
            State::End => Ok(self.members.facts()),
            _ => Err(Malformed::CutShort),
        }
    }

    /// A byte between strings, numbers and literals that is not whitespace.
    fn structural(&mut self, byte: u8) -> Result<(), Malformed> {
        match (&self.state, byte) {
            (State::Start | State::Value, _) => self.begin(byte),
            (State::NameOrEnd | State::NameBegins, b'"') => {
                self.text.begin(self.members.name_limit());
                self.state = State::Name;
                Ok(())
            }
            (State::Colon, b':') => {
                self.state = State::Value;
                Ok(())
            }
            (State::CommaOrEnd, b',') => {
                self.state = if self.nesting.is_object() {
                    State::NameBegins
                } else {
                    State::Value
                };
                Ok(())
            }
            (State::CommaOrEnd | State::NameOrEnd, b'}') if self.nesting.is_object() => self.end(),
            (State::CommaOrEnd | State::ItemOrEnd, b']') if !self.nesting.is_object() => self.end(),
            (State::ItemOrEnd, _) => self.begin(byte),
            _ => Err(Malformed::NotJson),
        }
    }

    /// The first byte of a value.
    fn begin(&mut self, byte: u8) -> Result<(), Malformed> {
        let is_first = matches!(self.state, State::Start);
        self.state = match byte {
            b'{' => {
                self.members.value(Value::Object)?;
                self.nesting.enter(true)?;
                State::NameOrEnd
            }
            b'"' | b'[' | b'-' | b'0'..=b'9' | b'n' | b't' | b'f' if is_first => {
                return Err(Malformed::NotObject);
            }
            b'[' => {
                self.nesting.enter(false)?;
                self.members.value(Value::Array)?;
                State::ItemOrEnd
            }
            b'"' => {
                self.text.begin(self.members.text_limit());
                State::Text
            }
            b'n' => State::Literal(b"ull", Value::Null),
            b't' => State::Literal(b"rue", Value::Bool(true)),
            b'f' => State::Literal(b"alse", Value::Bool(false)),
            _ => State::Number(Number::begin(byte)?),
        };
        Ok(())
    }

    /// A value that is neither an array nor an object is whole.
    fn value(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        self.state = State::CommaOrEnd;
        self.members.value(value)
    }

    /// The innermost array or object ends.
    fn end(&mut self) -> Result<(), Malformed> {
        self.nesting.leave();
        self.state = if self.nesting.depth == 0 {
            State::End
        } else {
            State::CommaOrEnd
        };
        self.members.end()
    }

    /// What is left once a string was read on.
    fn text<'a>(&mut self, rest: &'a [u8]) -> Result<&'a [u8], Malformed> {
        let Some(after) = self.text.push(rest)? else {
            return Ok(&[]);
        };
        let kept = self.text.kept();
        if matches!(self.state, State::Name) {
            self.state = State::Colon;
            self.members.name(kept)?;
        } else {
            self.state = State::CommaOrEnd;
            self.members.value(Value::Text(kept))?;
        }
        Ok(after)
    }
}

impl Nesting {
    fn enter(&mut self, is_object: bool) -> Result<(), Malformed> {
        if self.depth == MAX_DEPTH {
            return Err(Malformed::TooDeep(MAX_DEPTH));
        }
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_object);
        Ok(())
    }

    fn leave(&mut self) {
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
    }

    fn is_object(&self) -> bool {
        self.objects & 1 == 1
    }
}
