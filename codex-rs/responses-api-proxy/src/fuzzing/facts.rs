//! The entry for what a policy goes by in a request.

use crate::credential::substitution::fuzzing::{cut, split_control};
use crate::inspect::request_facts::RequestEncoding;
use crate::inspect::request_facts::judge::{compare, inspected};

/// However a request is cut, it is read as another parser reads all of it, or refused; and what is no coding is refused.
pub fn request_facts(data: &[u8]) {
    let (control, body) = split_control(data);
    let pieces = || cut(body, control).map(|(piece, _)| piece);
    compare(body, inspected(RequestEncoding::Identity, pieces()));
    for encoding in [RequestEncoding::Gzip, RequestEncoding::Zstd] {
        let whole = inspected(encoding, [body]);
        assert_eq!(whole, inspected(encoding, pieces()));
    }
}
