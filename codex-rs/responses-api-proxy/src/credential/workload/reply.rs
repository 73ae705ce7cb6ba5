//! Pure: what replies with tokens have to be like. Texts are read where they lie; a token goes to where it is wanted
//! and nowhere else.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use zeroize::Zeroizing;

use crate::credential::alphabet::is_token_byte;
use crate::credential::workload::Obtained;
use crate::credential::workload::error::Fault;

/// No access token is good for longer; one that says so is not believed.
const MAX_LIFETIME: u64 = 24 * 60 * 60;

const ACCESS_TOKEN_TYPE: &str = "urn:ietf:params:oauth:token-type:access_token";

/// A member of a JSON object, as far as any matters here.
enum Member<'a> {
    Borrowed(&'a str),
    /// It had escapes.
    Decoded(Zeroizing<String>),
    Number(f64),
    /// An object, with the `message` in it, which is how some write errors.
    Object(Option<Box<Member<'a>>>),
    Null,
    Other,
}

impl Member<'_> {
    fn text(&self) -> Option<&str> {
        match self {
            Self::Borrowed(text) => Some(text),
            Self::Decoded(text) => Some(text),
            Self::Object(message) => message.as_ref()?.text(),
            Self::Number(_) | Self::Null | Self::Other => None,
        }
    }

    fn plain_text(&self) -> Option<&str> {
        match self {
            Self::Object(_) => None,
            other => other.text(),
        }
    }

    /// A number that is not negative, or digits, without its fraction.
    fn seconds(&self) -> Option<u64> {
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the cast of a float saturates, and negative ones are excluded"
        )]
        match self {
            Self::Number(number) if *number >= 0.0 => Some(*number as u64),
            other => {
                let text = other.plain_text()?;
                let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
                is_number.then(|| text.parse().unwrap_or(u64::MAX))
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Member<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Member<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("any value")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Member<'de>, E> {
                Ok(Member::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Member<'de>, E> {
                Ok(Member::Decoded(Zeroizing::new(text.to_owned())))
            }
            #[allow(clippy::cast_precision_loss, reason = "seconds are far below 2^53")]
            fn visit_u64<E>(self, number: u64) -> Result<Member<'de>, E> {
                Ok(Member::Number(number as f64))
            }
            #[allow(clippy::cast_precision_loss, reason = "as above")]
            fn visit_i64<E>(self, number: i64) -> Result<Member<'de>, E> {
                Ok(Member::Number(number as f64))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Member<'de>, E> {
                Ok(Member::Number(number))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Member<'de>, E> {
                Ok(Member::Other)
            }
            fn visit_unit<E>(self) -> Result<Member<'de>, E> {
                Ok(Member::Null)
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Member<'de>, A::Error> {
                while seq.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Member::Other)
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Member<'de>, A::Error> {
                let mut message = None;
                while let Some(name) = map.next_key::<Member<'de>>()? {
                    let value = map.next_value::<Member<'de>>()?;
                    if name.text() == Some("message") {
                        message = Some(Box::new(value));
                    }
                }
                Ok(Member::Object(message))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// The members of this name of a JSON object, in their order; `null` counts as missing, and two as malformed.
struct Members<'a, const N: usize> {
    names: [&'static str; N],
    found: [Option<Member<'a>>; N],
}

impl<'a, const N: usize> Members<'a, N> {
    fn of(body: &'a [u8], names: [&'static str; N]) -> Result<Self, Fault> {
        struct Object<const N: usize>([&'static str; N]);
        impl<'de, const N: usize> Visitor<'de> for Object<N> {
            type Value = Result<[Option<Member<'de>>; N], &'static str>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = std::array::from_fn(|_| None);
                let mut twice = None;
                while let Some(name) = map.next_key::<Member<'de>>()? {
                    let at = self.0.iter().position(|&known| name.text() == Some(known));
                    let known = at.and_then(|at| Some((self.0.get(at)?, found.get_mut(at)?)));
                    let Some((name, place)) = known else {
                        map.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    if place.is_some() {
                        twice = Some(*name);
                    }
                    *place = Some(map.next_value::<Member<'de>>()?);
                }
                Ok(twice.map_or(Ok(found), Err))
            }
        }
        let mut reader = serde_json::Deserializer::from_slice(body);
        let read = reader.deserialize_map(Object(names));
        // Its own error may repeat what it read.
        let found = read.map_err(|_| Fault::NotAnObject)?;
        reader.end().map_err(|_| Fault::NotAnObject)?;
        let found = found.map_err(|name| Fault::Malformed(name, "is there twice"))?;
        Ok(Self { names, found })
    }

    /// The one of this number, unless it is missing.
    fn get(&self, at: usize) -> Option<(&'static str, &Member<'a>)> {
        let found = self.found.get(at)?.as_ref()?;
        let name = self.names.get(at)?;
        (!matches!(found, Member::Null)).then_some((*name, found))
    }

    fn token(&self, at: usize, into: &mut [u8]) -> Result<usize, Fault> {
        let name = self.names.get(at).copied().unwrap_or_default();
        let (_, member) = self.get(at).ok_or(Fault::Missing(name))?;
        let text = member.plain_text();
        let text = text.ok_or(Fault::Malformed(name, "is not a string"))?;
        copy_token(name, text.as_bytes(), into)
    }

    fn seconds(&self, at: usize) -> Result<Option<u64>, Fault> {
        let member = self.get(at);
        member
            .map(|(name, member)| {
                let seconds = member.seconds();
                seconds.ok_or(Fault::Malformed(name, "is not a number of seconds"))
            })
            .transpose()
    }
}

/// Reads the reply of an exchange, whose access token goes to the beginning of `into`. `now` is the time of day.
///
/// # Errors
///
/// The [`Fault`]: it is not one, or the token is not good or not good for long enough.
pub(super) fn read_access_token(
    body: &[u8],
    into: &mut [u8],
    now: SystemTime,
) -> Result<Obtained, Fault> {
    let members = Members::of(
        body,
        [
            "access_token",
            "expires_in",
            "expires_at",
            "token_type",
            "issued_token_type",
        ],
    )?;
    let is_text = |member: &Member<'_>, wanted: &str| {
        member
            .plain_text()
            .is_some_and(|text| text.eq_ignore_ascii_case(wanted))
    };
    if let Some((name, kind)) = members.get(3)
        && !is_text(kind, "Bearer")
    {
        return Err(Fault::Malformed(name, "is not Bearer"));
    }
    if let Some((name, kind)) = members.get(4)
        && kind.plain_text() != Some(ACCESS_TOKEN_TYPE)
    {
        return Err(Fault::Malformed(name, "is not that of an access token"));
    }
    let lifetime = members.seconds(1)?.ok_or(Fault::Missing("expires_in"))?;
    if lifetime == 0 {
        return Err(Fault::Malformed(
            "expires_in",
            "is 0: the token has expired already",
        ));
    }
    if lifetime > MAX_LIFETIME {
        return Err(Fault::Malformed("expires_in", "is more than 24 hours"));
    }
    let mut lifetime = Duration::from_secs(lifetime);
    if let Some(expires_at) = members.seconds(2)? {
        // A moment that no clock reaches is one in the far future.
        let left = match UNIX_EPOCH.checked_add(Duration::from_secs(expires_at)) {
            Some(moment) => moment.duration_since(now).unwrap_or_default(),
            None => Duration::MAX,
        };
        if left.is_zero() {
            return Err(Fault::Malformed(
                "expires_at",
                "has passed by this machine's clock: the token has expired already, or the clock is wrong",
            ));
        }
        lifetime = lifetime.min(left);
    }
    let len = members.token(0, into)?;
    Ok(Obtained { len, lifetime })
}

/// Copies the token in this member to the beginning of `into`; returns its length.
///
/// # Errors
///
/// The [`Fault`]: it is not there, or not a token.
pub(super) fn read_member(
    body: &[u8],
    name: &'static str,
    into: &mut [u8],
) -> Result<usize, Fault> {
    Members::of(body, [name])?.token(0, into)
}

/// Copies a token that is called `name` to the beginning of `into`; returns its length.
///
/// # Errors
///
/// The [`Fault`] if it is not one, or too long.
pub(super) fn copy_token(
    name: &'static str,
    token: &[u8],
    into: &mut [u8],
) -> Result<usize, Fault> {
    check_token(name, token)?;
    let room = into.get_mut(..token.len());
    room.ok_or(Fault::Malformed(name, "is longer than 8 KiB"))?
        .copy_from_slice(token);
    Ok(token.len())
}

/// Whether it can stand behind `Bearer` (RFC 9110, section 11.2: `token68`).
///
/// # Errors
///
/// [`Fault::Malformed`].
pub(super) fn check_token(name: &'static str, token: &[u8]) -> Result<(), Fault> {
    if token.is_empty() {
        return Err(Fault::Malformed(name, "is empty"));
    }
    if !is_token68(token) {
        return Err(Fault::Malformed(name, "has a character that no token has"));
    }
    Ok(())
}

/// `token68` of RFC 9110, section 11.2.
fn is_token68(token: &[u8]) -> bool {
    let padding = token.iter().rev().take_while(|&&byte| byte == b'=').count();
    let (token, _) = token.split_at(token.len() - padding);
    let is_one = |&byte: &u8| is_token_byte(byte) && byte != b'=';
    !token.is_empty() && token.iter().all(is_one)
}

/// What a reply says of an error: the code of OAuth and its description (RFC 6749, section 5.2), or a message. Empty if
/// it says nothing that is understood.
pub(super) fn said_by(body: &[u8]) -> String {
    let Ok(members) = Members::of(body, ["error", "error_description", "message"]) else {
        return String::new();
    };
    let texts = [0, 1, 2]
        .into_iter()
        .filter_map(|at| members.get(at)?.1.text());
    texts.collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
