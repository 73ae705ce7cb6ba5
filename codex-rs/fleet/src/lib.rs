//! Budgets that hold across hosts, on a Redis or Valkey server.
//!
//! Hosts with the same policy share what its limits leave. Each takes leases of that from the server and spends them by
//! itself: a request never waits for the server while the lease is enough. What was spent is reported twice a second.
//!
//! ```text
//!  requests --> codex_ledger::Ledger <-- reports, answers --> Keeper --> Store --> lease.lua, in the server
//!               what this host has leased                     one task   a connection       all hosts
//! ```
#![forbid(unsafe_code)]

mod address;
mod backoff;
mod bounded;
mod dial;
mod error;
mod health;
mod keeper;
mod keys;
mod password;
mod script;
mod state;
mod store;
mod totals;

pub use crate::address::{AddressError, Place, StoreAddress};
pub use crate::dial::{Dialer, Lookup};
pub use crate::error::StoreError;
pub use crate::health::Concern;
pub use crate::keeper::{Keeper, Notice, Terms};
pub use crate::password::{NotAPassword, Password};
pub use crate::state::{FleetState, Standing};
pub use crate::store::Store;
pub use crate::totals::Total;
