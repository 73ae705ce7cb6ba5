//! Who has spent how much of which limit.
//!
//! Accounts are charged in requests, tokens and US dollars. A request takes its estimated cost out of what is left
//! before it is sent, and is charged what it really cost when its answer says so.
#![forbid(unsafe_code)]

mod account;
mod amounts;
mod answer;
mod calendar;
mod clock;
mod error;
mod estimate;
mod grant;
mod hold;
mod lease;
mod ledger;
mod limit;
mod offline;
mod report;
mod shared;
mod store;
mod tally;
mod writer;

pub use crate::amounts::Amounts;
pub use crate::answer::{Crossing, Exceeded, Over, Remaining, Spent, Which};
pub use crate::clock::{Clock, ManualClock};
pub use crate::error::LedgerError;
pub use crate::estimate::{Asked, Estimate, Estimator, Hidden, Shown, Used};
pub use crate::grant::Grant;
pub use crate::hold::{Mode, Subject};
pub use crate::ledger::Ledger;
pub use crate::limit::{Limit, Measure, Window};
pub use crate::offline::{Row, read, reset};
pub use crate::report::Report;
pub use crate::shared::{Answer, Down};
pub use crate::writer::Writer;
