//! What each caller may ask for: which models, which shapes of requests, and how much in which time. Pure: no I/O.
#![forbid(unsafe_code)]

mod account;
mod denied;
mod document;
mod error;
mod facts;
mod limits;
mod model_glob;
mod policy;
mod rules;
mod tables;

pub use crate::account::Account;
pub use crate::denied::{Denied, DeniedCode};
pub use crate::error::PolicyError;
pub use crate::facts::Facts;
pub use crate::limits::{LimitError, parse_limit};
pub use crate::model_glob::{GlobError, ModelGlob};
pub use crate::policy::{Applied, Policy, Total};
pub use crate::rules::{Rules, Under};
pub use crate::tables::Names;
