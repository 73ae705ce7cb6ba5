//! The audit log: lines of JSON, each with the hash of the line before.
//!
//! [`Chain`] makes them, and [`Verification`] reads them and names the line that is wrong. Where a log is written, and
//! what is in it besides, is the proxy's own affair.
#![forbid(unsafe_code)]

mod chain;
mod lines;
mod verification;

pub use chain::{Chain, LONGEST_LINE, LineHash, NotAHash};
pub use verification::{Fault, FileSummary, Finding, Totals, Verification};
