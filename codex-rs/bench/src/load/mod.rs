//! The load: lean enough not to be what is measured.

mod answer;
mod connection;
mod crowd;
mod stamps;

pub(crate) use answer::Answer;
pub(crate) use connection::{Connection, request};
pub(crate) use crowd::{Crowd, Done};
pub(crate) use stamps::Stamps;
