//! What the proxy says of itself, and what of other people's text may be shown.

pub(crate) mod printable;
pub(crate) mod record;
pub(crate) mod stderr;
