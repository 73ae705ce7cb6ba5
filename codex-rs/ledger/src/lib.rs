//! Who has spent how much of which limit.
//!
//! Accounts are charged in requests, tokens and US dollars. A request takes its estimated cost out of what is left
//! before it is sent, and is charged what it really cost when its answer says so.
#![forbid(unsafe_code)]

mod amounts;
mod limit;

pub use crate::amounts::Amounts;
pub use crate::limit::{Limit, Measure, Window};
