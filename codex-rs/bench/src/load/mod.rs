//! The load: lean enough not to be what is measured.

mod answer;
mod arrivals;
mod connection;
mod crowd;
mod slow_reader;
mod stamps;

pub(crate) use answer::Answer;
pub(crate) use arrivals::Arrivals;
pub(crate) use connection::{Connection, request};
pub(crate) use crowd::{Crowd, Done};
pub(crate) use slow_reader::SlowReader;
pub(crate) use stamps::Stamps;
