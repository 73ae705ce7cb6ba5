//! What a test says when it cannot prove anything on the machine it runs on.

use std::io::Write;

/// Set by `scripts/check --full`: a test that would be skipped fails.
const NO_SKIPS: &str = "CODEX_TEST_NO_SKIPS";

/// Says why a test, or a part of it, proves nothing here; the test then returns. libtest does not
/// hold this line back, and `scripts/check` counts the lines that begin like it.
///
/// # Panics
/// With `why`, where `CODEX_TEST_NO_SKIPS` is set to anything but nothing: there a machine that
/// cannot run a test has failed it.
#[track_caller]
pub fn skipped(why: &str) {
    let _ = std::io::stderr().write_all(format!("skipped: {why}\n").as_bytes());
    let allowed = std::env::var_os(NO_SKIPS).is_none_or(|value| value.is_empty());
    assert!(allowed, "skipped, and {NO_SKIPS} is set: {why}");
}
