//! Lists that a stranger wrote.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, de};

/// The most items of an answer, and pieces of an item.
pub(crate) const MAX_PARTS: usize = 1024;

/// A list that ends with an error instead of filling the memory.
#[derive(Debug)]
pub(crate) struct AtMost<T>(pub(crate) Vec<T>);

impl<T> Default for AtMost<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for AtMost<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = AtMost<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX_PARTS}, or null")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(AtMost::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX_PARTS {
                    match from.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(AtMost(items)),
                    }
                }
                match from.next_element::<IgnoredAny>()? {
                    Some(_) => Err(de::Error::custom("too many")),
                    None => Ok(AtMost(items)),
                }
            }
        }
        from.deserialize_any(Items(PhantomData))
    }
}
