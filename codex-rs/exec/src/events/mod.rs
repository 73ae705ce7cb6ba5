//! The events of a streamed response, read in bounded memory.

pub(crate) mod answer;
pub(crate) mod bounded_list;
pub(crate) mod event;
pub(crate) mod lenient;
pub(crate) mod server_error;
pub(crate) mod stream;
