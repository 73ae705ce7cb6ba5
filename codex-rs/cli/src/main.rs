//! The binary `codex`. What it runs is in `lib.rs`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Freed memory is wiped, in this process and for all of its crates.
#[global_allocator]
static HEAP: codex_secret_memory::ZeroOnFree = codex_secret_memory::ZeroOnFree;

fn main() -> ExitCode {
    codex_cli::run()
}
