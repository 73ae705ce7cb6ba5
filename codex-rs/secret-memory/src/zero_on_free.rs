//! An allocator that wipes what is given back to it.
//!
//! The second line of defence: whatever passes through the heap, headers and
//! prompts included, is gone from memory once it is freed instead of lying there
//! until somebody overwrites it.

use std::alloc::{GlobalAlloc, Layout, System};
#[cfg(codex_bench)]
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether blocks are wiped. Only in builds that measure what that costs, `--cfg codex_bench`; all others do so always.
#[cfg(codex_bench)]
pub static WIPES: AtomicBool = AtomicBool::new(true);

/// The system's allocator, with every block wiped before it is freed, those that
/// a reallocation leaves behind included.
///
/// ```
/// #[global_allocator]
/// static ALLOCATOR: codex_secret_memory::ZeroOnFree = codex_secret_memory::ZeroOnFree;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ZeroOnFree;

// SAFETY: blocks come from and go back to `System` with the layouts they were
// asked for with; `realloc` is the trait's own, which allocates, copies and
// deallocates through the functions below, so that no block moves unwiped.
unsafe impl GlobalAlloc for ZeroOnFree {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc`'s contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc_zeroed`'s contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        #[cfg(codex_bench)]
        let wipes = WIPES.load(Ordering::Relaxed);
        #[cfg(not(codex_bench))]
        let wipes = true;
        if wipes {
            // SAFETY: the caller owns the block, which is `layout.size()` long.
            unsafe { wipe(block, layout.size()) };
        }
        // SAFETY: the caller keeps `dealloc`'s contract, which is the same.
        unsafe { System.dealloc(block, layout) };
    }
}

/// The smallest page of memory there is, in bytes; larger ones are multiples.
#[cfg(all(
    any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"),
    not(miri)
))]
const PAGE: usize = 4096;

/// Wipes whatever is not zero already by a memset(3), behind which stands a barrier: for all the optimiser knows, the memory
/// is looked at there. Not by `explicit_bzero(3)`, which is the same and which glibc has from 2.25 on alone.
///
/// Large blocks are buffers, mostly of 8 KiB, of which a few hundred bytes were
/// written. Writing zeros over the rest would make the system provide memory for
/// pages that nobody ever used: reading them does not.
///
/// # Safety
///
/// `block` must be valid for reads and writes of `len` bytes.
#[cfg(all(
    any(target_os = "linux", target_os = "freebsd", target_os = "openbsd"),
    not(miri)
))]
unsafe fn wipe(block: *mut u8, len: usize) {
    static ZEROS: [u8; PAGE] = [0; PAGE];
    let mut at = 0;
    while at < len {
        let to_boundary = PAGE - block.addr().wrapping_add(at) % PAGE;
        let piece = to_boundary.min(len - at);
        // Opaque, so that the comparison below is left to the C library.
        let start = std::hint::black_box(block.wrapping_add(at));
        // SAFETY: the piece lies in the range the caller vouches for, and is no longer
        // than a page. Its bytes may be uninitialised to Rust, not to the C library.
        let is_used =
            len < PAGE || unsafe { libc::memcmp(start.cast(), ZEROS.as_ptr().cast(), piece) } != 0;
        if is_used {
            // SAFETY: as above.
            unsafe { libc::memset(start.cast(), 0, piece) };
            // SAFETY: zeros are initialised bytes to Rust too.
            zeroize::optimization_barrier(unsafe { std::slice::from_raw_parts(start, piece) });
        }
        at += piece;
    }
}

/// # Safety
///
/// `block` must be valid for writes of `len` bytes.
#[cfg(any(
    not(any(target_os = "linux", target_os = "freebsd", target_os = "openbsd")),
    miri
))]
unsafe fn wipe(block: *mut u8, len: usize) {
    // SAFETY: the caller vouches for the range, which nobody else refers to.
    let bytes =
        unsafe { std::slice::from_raw_parts_mut(block.cast::<std::mem::MaybeUninit<u8>>(), len) };
    zeroize::Zeroize::zeroize(bytes);
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use super::*;

    /// Whatever the tests of this crate allocate comes from it.
    #[global_allocator]
    static ALLOCATOR: ZeroOnFree = ZeroOnFree;

    fn wipe_all(block: &mut [u8]) {
        // SAFETY: the slice is writable and as long as it says.
        unsafe { wipe(block.as_mut_ptr(), block.len()) };
    }

    #[test]
    fn a_wiped_block_is_zero() {
        let mut block = *b"secret";
        wipe_all(&mut block);
        assert_eq!(block, [0; 6]);
    }

    #[test]
    fn a_byte_is_wiped_wherever_it_stands_in_a_large_block() {
        let mut block = vec![0; 3 * 4096 + 5];
        let len = block.len();
        for at in [0, 1, 4095, 4096, 4097, 8191, len - 2, len - 1] {
            for from in [0, 1, 2000] {
                let block = &mut block[from..];
                let at = at.min(block.len() - 1);
                block[at] = 1;
                wipe_all(block);
                assert!(block.iter().all(|&byte| byte == 0), "{at} from {from}");
            }
        }
    }

    #[test]
    fn growing_and_shrinking_keep_what_is_in_a_block() {
        let mut block = Vec::with_capacity(4);
        block.extend_from_slice(b"keep");
        black_box(&mut block).reserve_exact(10_000);
        assert!(block.capacity() >= 10_000);
        assert_eq!(black_box(&block), b"keep");
        block.shrink_to_fit();
        assert_eq!(block.capacity(), 4);
        assert_eq!(black_box(&block), b"keep");
    }

    #[test]
    fn a_block_that_is_asked_for_zeroed_is_zero() {
        for _ in 0..2 {
            let mut block = vec![0_u8; 10_000];
            assert!(black_box(&block).iter().all(|&byte| byte == 0));
            block.fill(1);
        }
    }
}
