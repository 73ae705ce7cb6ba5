//! Numbers, by their grammar (RFC 8259, section 6).

use super::super::malformed::Malformed;

/// What was read of a number.
#[derive(Clone, Copy)]
pub(super) struct Number {
    state: State,
    /// Its value, if it is digits alone so far, and below 2^64.
    digits: Option<u64>,
}

#[derive(Clone, Copy)]
enum State {
    Minus,
    Zero,
    Integer,
    Point,
    Fraction,
    ExponentMark,
    ExponentSign,
    Exponent,
}

impl Number {
    pub(super) fn begin(byte: u8) -> Result<Self, Malformed> {
        match byte {
            b'-' => Ok(State::Minus.without_value()),
            b'0' => Ok(Self {
                state: State::Zero,
                digits: Some(0),
            }),
            b'1'..=b'9' => Ok(Self {
                state: State::Integer,
                digits: Some(u64::from(byte - b'0')),
            }),
            _ => Err(Malformed::NotJson),
        }
    }

    /// With one more byte; `None` if the number ended before that byte.
    pub(super) fn next(self, byte: u8) -> Result<Option<Self>, Malformed> {
        let state = match (self.state, byte) {
            (State::Minus, b'0') => State::Zero,
            (State::Minus, b'1'..=b'9') => State::Integer,
            (State::Integer, b'0'..=b'9') => {
                let digit = u64::from(byte - b'0');
                let digits = self
                    .digits
                    .and_then(|digits| digits.checked_mul(10)?.checked_add(digit));
                return Ok(Some(Self { digits, ..self }));
            }
            (State::Zero | State::Integer, b'.') => State::Point,
            (State::Point | State::Fraction, b'0'..=b'9') => State::Fraction,
            (State::Zero | State::Integer | State::Fraction, b'e' | b'E') => State::ExponentMark,
            (State::ExponentMark, b'+' | b'-') => State::ExponentSign,
            (State::ExponentMark | State::ExponentSign | State::Exponent, b'0'..=b'9') => {
                State::Exponent
            }
            (State::Zero | State::Integer | State::Fraction | State::Exponent, _) => {
                return Ok(None);
            }
            (State::Minus | State::Point | State::ExponentMark | State::ExponentSign, _) => {
                return Err(Malformed::NotJson);
            }
        };
        Ok(Some(state.without_value()))
    }

    pub(super) fn digits(self) -> Option<u64> {
        self.digits
    }
}

impl State {
    /// A number that is not digits alone.
    fn without_value(self) -> Number {
        Number {
            state: self,
            digits: None,
        }
    }
}
