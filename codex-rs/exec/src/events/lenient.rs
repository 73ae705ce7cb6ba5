//! Lists that end, and fields that are nice to have: a server that writes the latter differently has still
//! answered.

use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The most items of an answer, and pieces of an item.
pub(crate) const MAX_PARTS: usize = 1024;

/// A list that ends with an error instead of filling the memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BoundedList<T>(pub(crate) Vec<T>);

/// An object, or its default for anything else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object<T>(pub(crate) T);

/// A count, or 0 for what is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl<T> Default for BoundedList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// A text, or none for what is none; a number, which some servers have where others have a word, is one.
pub(crate) fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    struct Text;
    impl<'de> Visitor<'de> for Text {
        type Value = Option<String>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a string")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Some(text.to_owned()))
        }

        fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
            Ok(Some(text))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
            Ok(Some(number.to_string()))
        }

        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            while from.next_element::<IgnoredAny>()?.is_some() {}
            Ok(None)
        }

        fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
            while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(None)
        }
    }
    from.deserialize_any(Text)
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for BoundedList<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = BoundedList<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX_PARTS}, or null")
            }

            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                Ok(BoundedList::default())
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
                Ok(BoundedList::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(BoundedList::default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Self::Value, A::Error> {
                let mut items = Vec::new();
                while items.len() < MAX_PARTS {
                    match from.next_element()? {
                        Some(item) => items.push(item),
                        None => return Ok(BoundedList(items)),
                    }
                }
                match from.next_element::<IgnoredAny>()? {
                    Some(_) => Err(Error::custom("too many")),
                    None => Ok(BoundedList(items)),
                }
            }
        }
        from.deserialize_any(Items(PhantomData))
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de> + Default> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, from: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(from))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<T, A::Error> {
                while from.next_element::<IgnoredAny>()?.is_some() {}
                Ok(T::default())
            }

            fn visit_unit<E: Error>(self) -> Result<T, E> {
                Ok(T::default())
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<T, E> {
                Ok(T::default())
            }

            fn visit_i64<E: Error>(self, _: i64) -> Result<T, E> {
                Ok(T::default())
            }

            fn visit_u64<E: Error>(self, _: u64) -> Result<T, E> {
                Ok(T::default())
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<T, E> {
                Ok(T::default())
            }

            fn visit_str<E: Error>(self, _: &str) -> Result<T, E> {
                Ok(T::default())
            }
        }
        from.deserialize_any(Fields(PhantomData)).map(Self)
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Number;
        impl<'de> Visitor<'de> for Number {
            type Value = u64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<u64, E> {
                Ok(number)
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<u64, E> {
                Ok(u64::try_from(number).unwrap_or_default())
            }

            fn visit_f64<E: Error>(self, number: f64) -> Result<u64, E> {
                // Some languages know no other numbers. JSON has no float that is none, and
                // what is written without its fraction is a whole number or too large.
                Ok(format!("{number:.0}").parse().unwrap_or_default())
            }

            fn visit_unit<E: Error>(self) -> Result<u64, E> {
                Ok(0)
            }

            fn visit_bool<E: Error>(self, _: bool) -> Result<u64, E> {
                Ok(0)
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<u64, E> {
                Ok(text.parse().unwrap_or_default())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<u64, A::Error> {
                while from.next_element::<IgnoredAny>()?.is_some() {}
                Ok(0)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<u64, A::Error> {
                while from.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(0)
            }
        }
        from.deserialize_any(Number).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_whatever_can_be_counted() {
        for (json, count) in [
            ("7", 7),
            ("7.0", 7),
            ("-7", 0),
            ("1e300", 0),
            ("null", 0),
            ("true", 0),
            ("\"7\"", 7),
            ("[1,[2]]", 0),
            ("{\"a\":{}}", 0),
        ] {
            let found: Count = serde_json::from_str(json).unwrap();
            assert_eq!(found, Count(count), "{json}");
        }
    }

    #[test]
    fn an_object_is_one_or_its_default() {
        #[derive(Debug, Default, PartialEq, Eq, Deserialize)]
        struct One {
            #[serde(default)]
            a: Count,
        }
        for (json, count) in [
            ("{\"a\":7,\"b\":[]}", 7),
            ("{}", 0),
            ("null", 0),
            ("3", 0),
            ("-3", 0),
            ("0.5", 0),
            ("false", 0),
            ("\"x\"", 0),
            ("[{}]", 0),
        ] {
            let found: Object<One> = serde_json::from_str(json).unwrap();
            assert_eq!(found.0.a, Count(count), "{json}");
        }
    }
}
