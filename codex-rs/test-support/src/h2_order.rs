//! What a stream of the mock upstream asks of its HTTP/2 connection.

use crate::step::CutKind;

/// Carried out by the connection, for all its streams.
pub(crate) enum Order {
    /// GOAWAY; streams under way go on.
    GoAway,
    /// The end of the connection.
    Cut(CutKind),
}
