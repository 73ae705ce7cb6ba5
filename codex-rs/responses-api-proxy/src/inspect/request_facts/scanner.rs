//! Checks that what arrives in pieces is one JSON object (RFC 8259), and gives what matters in it to [`Members`]. Pure.

use codex_policy::Facts;

use super::members::{MAX_DIGITS, Members, Role, Seen, Value};
use super::string::StringReader;
use super::{MAX_DEPTH, Malformed};

/// The first byte of a byte order mark in UTF-8.
const MARK: u8 = 0xef;

/// What may come next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A value; where the array has just begun, its end too.
    Value {
        may_close: bool,
    },
    /// A name, or the end of an object that has just begun.
    FirstName,
    /// A name, behind a comma.
    Name,
    /// The rest of a name.
    InName,
    Colon,
    /// The rest of a string.
    InString,
    Number(Number),
    /// The rest of a word, which has come so far.
    Word(Word, u8),
    /// A comma, or the end of what the value is in.
    Comma,
    /// White space.
    Nothing,
}

/// Where in a number (RFC 8259, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Number {
    Minus,
    Zero,
    Whole,
    Point,
    Fraction,
    E,
    Sign,
    Exponent,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    True,
    False,
    Null,
}

/// An object or an array that is open.
#[derive(Clone, Copy, Debug)]
struct Open {
    is_object: bool,
    role: Role,
    seen: Seen,
}

/// Reads one body. Needs some hundred bytes, and a few for each level of depth.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    open: Vec<Open>,
    /// What the value under way is for.
    role: Role,
    string: StringReader,
    /// The number under way, where it matters.
    digits: String,
    members: Members,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Value { may_close: false },
            open: Vec::new(),
            role: Role::Body,
            string: StringReader::default(),
            digits: String::new(),
            members: Members::default(),
        }
    }
}

impl Scanner {
    /// Reads on.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if matches!(self.state, State::InString | State::InName) {
                let (taken, is_closed) = self.string.push(rest)?;
                at += taken;
                if is_closed {
                    self.end_string()?;
                }
                continue;
            }
            let Some(&byte) = rest.first() else { break };
            if let State::Number(number) = self.state {
                match number.next(byte) {
                    Some(next) => {
                        self.state = State::Number(next);
                        self.keep_digit(byte);
                        at += 1;
                    }
                    // This byte is not of the number.
                    None => self.end_number(number)?,
                }
                continue;
            }
            at += 1;
            self.take(byte)?;
        }
        Ok(())
    }

    /// The body ends here.
    ///
    /// # Errors
    ///
    /// It ends too early.
    pub(super) fn finish(self) -> Result<Facts, Malformed> {
        match self.state {
            State::Nothing => Ok(self.members.into_facts()),
            _ => Err(Malformed::NotJson),
        }
    }

    /// A byte outside of strings and numbers.
    fn take(&mut self, byte: u8) -> Result<(), Malformed> {
        if let State::Word(word, len) = self.state {
            return self.word(word, len, byte);
        }
        match (self.state, byte) {
            (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (State::Value { may_close: true }, b']') => self.close(false)?,
            (State::Value { .. }, _) => self.begin(byte)?,
            (State::FirstName, b'}') => self.close(true)?,
            (State::FirstName | State::Name, b'"') => {
                let is_wanted = self.open.last().is_some_and(|open| open.role.has_members());
                self.string.begin(is_wanted);
                self.state = State::InName;
            }
            (State::Colon, b':') => self.state = State::Value { may_close: false },
            (State::Comma, b',') => match self.open.last() {
                Some(open) if open.is_object => self.state = State::Name,
                Some(open) => {
                    self.role = open.role.of_element();
                    self.state = State::Value { may_close: false };
                }
                None => return Err(Malformed::NotJson),
            },
            (State::Comma, b'}') => self.close(true)?,
            (State::Comma, b']') => self.close(false)?,
            _ => return Err(Malformed::NotJson),
        }
        Ok(())
    }

    /// A value begins.
    fn begin(&mut self, byte: u8) -> Result<(), Malformed> {
        match byte {
            b'{' => self.open(true)?,
            b'[' => self.open(false)?,
            MARK if self.open.is_empty() => return Err(Malformed::ByteOrderMark),
            b'"' => {
                self.string.begin(self.role.keeps_text());
                self.state = State::InString;
            }
            b'-' | b'0'..=b'9' => {
                self.digits.clear();
                self.keep_digit(byte);
                self.state = State::Number(match byte {
                    b'-' => Number::Minus,
                    b'0' => Number::Zero,
                    _ => Number::Whole,
                });
            }
            b't' => self.state = State::Word(Word::True, 1),
            b'f' => self.state = State::Word(Word::False, 1),
            b'n' => self.state = State::Word(Word::Null, 1),
            _ => return Err(Malformed::NotJson),
        }
        Ok(())
    }

    fn open(&mut self, is_object: bool) -> Result<(), Malformed> {
        if self.open.len() >= MAX_DEPTH {
            return Err(Malformed::TooDeep);
        }
        let role = self.role;
        let value = if is_object {
            Value::Object
        } else {
            Value::Array
        };
        self.members.value(role, value)?;
        self.open.push(Open {
            is_object,
            role,
            seen: 0,
        });
        if is_object {
            self.state = State::FirstName;
        } else {
            self.role = role.of_element();
            self.state = State::Value { may_close: true };
        }
        Ok(())
    }

    fn close(&mut self, is_object: bool) -> Result<(), Malformed> {
        match self.open.pop() {
            Some(open) if open.is_object == is_object => {
                if is_object {
                    open.role.check_end(open.seen)?;
                }
                self.end_value();
                Ok(())
            }
            _ => Err(Malformed::NotJson),
        }
    }

    fn end_value(&mut self) {
        self.state = if self.open.is_empty() {
            State::Nothing
        } else {
            State::Comma
        };
    }

    fn end_string(&mut self) -> Result<(), Malformed> {
        if self.state == State::InName {
            let open = self.open.last_mut().ok_or(Malformed::NotJson)?;
            self.role = if open.role.has_members() {
                open.role.of_member(self.string.text(), &mut open.seen)?
            } else {
                Role::Other
            };
            self.state = State::Colon;
            return Ok(());
        }
        self.members
            .value(self.role, Value::String(self.string.text()))?;
        self.end_value();
        Ok(())
    }

    fn keep_digit(&mut self, byte: u8) {
        if self.digits.len() <= MAX_DIGITS {
            self.digits.push(char::from(byte));
        }
    }

    fn end_number(&mut self, number: Number) -> Result<(), Malformed> {
        if !number.is_whole() {
            return Err(Malformed::NotJson);
        }
        let digits = Some(self.digits.as_str()).filter(|digits| digits.len() <= MAX_DIGITS);
        self.members.value(self.role, Value::Number(digits))?;
        self.end_value();
        Ok(())
    }

    fn word(&mut self, word: Word, len: u8, byte: u8) -> Result<(), Malformed> {
        let text = match word {
            Word::True => "true",
            Word::False => "false",
            Word::Null => "null",
        };
        if text.as_bytes().get(usize::from(len)) != Some(&byte) {
            return Err(Malformed::NotJson);
        }
        if usize::from(len) + 1 < text.len() {
            self.state = State::Word(word, len + 1);
            return Ok(());
        }
        let value = match word {
            Word::True => Value::Boolean(true),
            Word::False => Value::Boolean(false),
            Word::Null => Value::Null,
        };
        self.members.value(self.role, value)?;
        self.end_value();
        Ok(())
    }
}

impl Number {
    /// Where the number is behind one more byte; `None` if that is not of it.
    fn next(self, byte: u8) -> Option<Self> {
        Some(match (self, byte) {
            (Self::Minus, b'0') => Self::Zero,
            (Self::Minus, b'1'..=b'9') => Self::Whole,
            (Self::Whole, b'0'..=b'9') => Self::Whole,
            (Self::Zero | Self::Whole, b'.') => Self::Point,
            (Self::Point | Self::Fraction, b'0'..=b'9') => Self::Fraction,
            (Self::Zero | Self::Whole | Self::Fraction, b'e' | b'E') => Self::E,
            (Self::E, b'+' | b'-') => Self::Sign,
            (Self::E | Self::Sign | Self::Exponent, b'0'..=b'9') => Self::Exponent,
            _ => return None,
        })
    }

    /// Whether it may end here.
    fn is_whole(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Whole | Self::Fraction | Self::Exponent
        )
    }
}
