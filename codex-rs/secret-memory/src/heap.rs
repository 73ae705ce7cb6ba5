//! The heap's free memory, given back to the system.
//!
//! The C library gives back what lies free at the end of its heap. After a crowd has gone,
//! most of what it took lies free between blocks that are still in use, and stays.

/// Gives the pages of the heap that nothing uses back to the system (`malloc_trim(3)`).
///
/// Takes some milliseconds for every hundred megabytes, during which threads that allocate
/// may wait. Does nothing where the C library is not glibc.
pub fn return_free_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu", not(miri)))]
    {
        // SAFETY: passes a number; the C library takes its own locks.
        unsafe { libc::malloc_trim(0) };
    }
}
