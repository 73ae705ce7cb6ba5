//! A page of memory for one secret.
//!
//! A secret in a `String` shares its page with whatever the allocator put
//! beside it, may be swapped out, lands in core dumps, and is readable by
//! anybody who may read `/proc/PID/mem`. A [`SecretPage`] is mapped on its own,
//! stands between two pages that no access may touch, is locked in RAM, and is
//! left out of core dumps and child processes. On Linux it is, where the kernel
//! allows, memory that the kernel itself takes out of its own map
//! ([`memfd_secret(2)`]), so that not even root reads it through
//! `/proc/PID/mem`, `process_vm_readv(2)` or a debugger's peek.
//!
//! The page knows nothing of keys or HTTP: it is filled once, sealed read-only,
//! and lives as long as the process; or it is a [`ReadOnlyPage`] until its secret is
//! replaced, then wiped, and serves again. If it is dropped before it is sealed, on
//! any error path, its bytes are wiped first.
//!
//! [`ZeroOnFree`] is the second line: a heap that forgets. [`return_free_memory`] makes it
//! small again after a crowd.
//!
//! This is the only crate of the workspace that maps memory.
//!
//! [`memfd_secret(2)`]: https://man7.org/linux/man-pages/man2/memfd_secret.2.html
#![allow(unsafe_code)] // what this crate exists for; every block says why it is sound

mod heap;
// Miri has no memory protection: there the page is tested on the plain heap.
#[cfg_attr(any(not(unix), miri), path = "mapping_unsupported.rs")]
mod mapping;
mod page;
mod protection;
#[cfg(all(target_os = "linux", not(miri)))]
mod secretmem;
mod zero_on_free;

pub use heap::return_free_memory;
pub use page::{CAPACITY, PageError, ReadOnlyPage, SecretPage};
pub use protection::{Backing, Protection, SecretMemoryRefused};
#[cfg(codex_bench)]
pub use zero_on_free::WIPES;
pub use zero_on_free::ZeroOnFree;
