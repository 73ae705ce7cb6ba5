//! The load: lean enough not to be what is measured.

mod answer;
mod connection;
mod crowd;

pub(crate) use answer::Answer;
pub(crate) use connection::{Connection, request};
pub(crate) use crowd::Crowd;
