//! Whether the upstream is asked at the start, and what a refused key means then.

/// What a key that the upstream refuses at the start means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preconnect {
    /// A line says so, and the proxy serves
    Report,
    /// The start fails; an upstream that is out of reach is reported and no more
    Require,
}
