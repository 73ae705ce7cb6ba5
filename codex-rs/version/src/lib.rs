//! What `--version` says of a program of this workspace.
#![forbid(unsafe_code)]

#[cfg(test)]
mod commit;

/// The version, and the commit where it is known: `0.1.0 (1a2b3c4 2026-11-29)`, or `0.1.0`.
///
/// The date is that of the commit, so that the same sources make the same program. `build.rs` says when the
/// commit is known.
pub const VERSION: &str = env!("CODEX_VERSION");

#[cfg(test)]
mod tests {
    use super::VERSION;

    /// Scripts take the second word of `codex --version`.
    #[test]
    fn it_begins_with_the_version_alone() {
        let first = VERSION.split(' ').next();
        assert_eq!(first, Some(env!("CARGO_PKG_VERSION")));
    }
}
