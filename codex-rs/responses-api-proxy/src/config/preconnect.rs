//! Whether the upstream is asked at the start, and what a refused key means then.

/// What a key that the upstream refuses at the start means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Preconnect {
    /// Report a refused key and serve anyway
    Report,
    /// Fail to start if the key is refused; only report an upstream that is out of reach
    Require,
}
