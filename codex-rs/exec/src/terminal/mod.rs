//! What a person sees and types, and signals.

pub(crate) mod editor;
pub(crate) mod printable;
pub(crate) mod screen;
pub(crate) mod second_signal;
pub(crate) mod settings;
pub(crate) mod signals;
