//! Why an answer has no cost.

use std::fmt;

use genai_prices::ErrorKind;

/// Why an answer has no cost. It does not repeat the names in the answer, which the upstream chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PriceError {
    /// Neither the list nor the overlay has a price for both the input and the output of this model.
    UnknownModel,
    /// The counts of the answer contradict each other: a part is larger than the whole.
    Usage {
        /// What is counted as a part.
        part: &'static str,
        /// What it should be a part of.
        whole: &'static str,
    },
    /// The bundled list could not be asked. Its own tests rule that out.
    Catalogue(ErrorKind),
}

impl fmt::Display for PriceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownModel => f.write_str(
                "no price is known for this model; a table [prices.\"MODEL\"] with input and output \
                 in the file of --prices gives it one",
            ),
            Self::Usage { part, whole } => {
                write!(f, "the answer counts more {part} tokens than {whole} tokens")
            }
            Self::Catalogue(kind) => write!(f, "the bundled price list cannot be asked: {kind}"),
        }
    }
}

impl std::error::Error for PriceError {}
