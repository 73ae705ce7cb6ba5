//! Names for requests, unique over all starts of the proxy.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;
use http::header::HeaderName;

/// The header of every answer that has it.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-codex-proxy-request-id");

/// How many bits of randomness tell one start from another.
const START_BITS: u32 = 40;

/// Counts requests, and names them after this start of the process.
#[derive(Debug)]
pub(crate) struct RequestIds {
    start: u64,
    next: AtomicU64,
}

/// The name of one: the start's, in hexadecimal, and a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestId {
    start: u64,
    number: u64,
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut start = [0; START_BITS as usize / 4];
        let mut left = self.start;
        for digit in start.iter_mut().rev() {
            *digit = match (left % 16) as u8 {
                value @ ..10 => b'0' + value,
                value => b'a' + (value - 10),
            };
            left /= 16;
        }
        f.write_str(str::from_utf8(&start).unwrap_or_default())?;
        write!(f, "-{}", self.number)
    }
}

impl serde::Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl RequestId {
    pub(crate) fn to_header(self) -> HeaderValue {
        // Digits and a hyphen are a value.
        HeaderValue::try_from(self.to_string()).unwrap_or_else(|_| HeaderValue::from_static("-"))
    }
}

impl RequestIds {
    /// Its randomness is that of the system, by way of the standard library's keys for hash tables.
    pub(crate) fn new() -> Self {
        let random = RandomState::new().hash_one(std::process::id());
        Self {
            start: random >> (u64::BITS - START_BITS),
            next: AtomicU64::new(1),
        }
    }

    /// The number of the next request.
    pub(crate) fn next(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn id(&self, number: u64) -> RequestId {
        RequestId {
            start: self.start,
            number,
        }
    }

    /// The part that all ids of this process begin with.
    pub(crate) fn start(&self) -> impl fmt::Display + use<> {
        let start = self.start;
        format!("{start:010x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_the_start_and_a_number() {
        let ids = RequestIds::new();
        let (first, second) = (ids.next(), ids.next());
        assert_eq!((first, second), (1, 2));
        let id = ids.id(second).to_string();
        assert_eq!(id, format!("{}-2", ids.start()));
        assert_eq!(id.len(), 12);
        assert_ne!(RequestIds::new().start, ids.start);
    }
}
