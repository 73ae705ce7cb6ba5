//! No capabilities: root's powers, given up one and all.

use std::io;

use crate::mitigations::check;

/// `_LINUX_CAPABILITY_VERSION_3` of `<linux/capability.h>`: two words per set.
const VERSION_3: u32 = 0x2008_0522;

#[repr(C)]
struct Header {
    version: u32,
    pid: libc::c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Empties the ambient and bounding sets where that is allowed, then the
/// effective, permitted and inheritable ones (`capabilities(7)`, `capset(2)`).
///
/// # Errors
///
/// Does not happen on a kernel that has capabilities: giving up is always allowed.
pub(crate) fn drop_all() -> io::Result<()> {
    // SAFETY: numbers only. Kernels before 4.3 have no ambient set to clear.
    unsafe {
        libc::prctl(
            libc::PR_CAP_AMBIENT,
            libc::PR_CAP_AMBIENT_CLEAR_ALL,
            0,
            0,
            0,
        )
    };
    // The bounding set limits what running a program can give. Nothing is run
    // any more, and without CAP_SETPCAP it cannot be changed: no error.
    for capability in 0..64 {
        // SAFETY: numbers only.
        let dropped = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        if dropped != 0 {
            break;
        }
    }
    let header = Header {
        version: VERSION_3,
        pid: 0,
    };
    let none = [Data::default(); 2];
    // SAFETY: the call reads the header and two words per set, as this version has.
    let done = unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) };
    check(libc::c_int::try_from(done).unwrap_or(-1))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_thread_that_dropped_them_has_none() {
        // Capabilities are a thread's own (capabilities(7)).
        let status = std::thread::spawn(|| {
            super::drop_all().unwrap();
            std::fs::read_to_string("/proc/thread-self/status").unwrap()
        });
        let status = status.join().unwrap();
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            assert!(
                status.contains(&format!("{set}:\t0000000000000000")),
                "{set}"
            );
        }
    }
}
