//! What each caller may ask for: which models, which shapes of requests, and how much in which time. Pure: no I/O.
#![forbid(unsafe_code)]

mod facts;

pub use crate::facts::Facts;
