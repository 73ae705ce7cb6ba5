//! What the caller's environment says: keys in it, the way to the upstream, and whether the caller is as good as root.

mod outbound;
#[cfg(unix)]
mod powers;
mod variables;

use crate::finding::Finding;

/// All checks of the environment, in a fixed order.
pub(crate) fn findings() -> Vec<Finding> {
    let mut findings = vec![variables::own(), variables::of_ancestors()];
    findings.extend(outbound::findings());
    #[cfg(unix)]
    findings.push(powers::finding());
    findings
}
