//! What requests and answers say of themselves, read while they pass by. Pure: no I/O, no clock.
//!
//! Nothing here changes, delays or keeps what passes. Each reader is given the bytes in pieces, cut anywhere, and needs
//! a few kilobytes at most, whatever it is given: an upstream that sends something unreadable is metered as that.
//! A request that is compressed takes more, its window: 32 KiB for gzip, and up to 16 MiB for zstd.

pub(crate) mod answer;
pub(crate) mod json;
pub(crate) mod request;
pub(crate) mod request_facts;
pub(crate) mod sse;
