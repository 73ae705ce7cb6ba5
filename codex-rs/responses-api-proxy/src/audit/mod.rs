//! The audit log as others find it: how its lines hang together, and the command that checks that they do. What
//! writes one is in `observe/`.

pub(crate) mod chain;
pub(crate) mod lines;
pub(crate) mod verification;
pub(crate) mod verify;
