//! Which rate the service tier of an answer stands for.

/// The service tier of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tier<'a> {
    /// The standard price is charged.
    Standard,
    /// `auto`: a setting of requests, which does not say what was charged.
    Auto,
    /// A tier that may have a price of its own: `flex`, `priority`, `fast`, `scale`.
    Named(&'a str),
}

impl<'a> Tier<'a> {
    /// An answer that names no tier comes from a server without tiers.
    pub(crate) fn new(service_tier: Option<&'a str>) -> Self {
        match service_tier {
            None | Some("" | "default" | "standard") => Self::Standard,
            Some("auto") => Self::Auto,
            Some(name) => Self::Named(name),
        }
    }

    /// A name for each: no tier with a price of its own is called as those without.
    pub(crate) fn name(self) -> &'a str {
        match self {
            Self::Standard => "",
            Self::Auto => "auto",
            Self::Named(name) => name,
        }
    }
}
