//! No capabilities: root's powers, given up one and all.

use std::io;

use rustix::thread::{
    CapabilitySet, CapabilitySets, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities,
};

/// Empties the ambient and bounding sets where that is allowed, then the
/// effective, permitted and inheritable ones (`capabilities(7)`, `capset(2)`).
///
/// # Errors
///
/// Does not happen on a kernel that has capabilities: giving up is always allowed.
pub(crate) fn drop_all() -> io::Result<()> {
    // Kernels before 4.3 have no ambient set to clear.
    let _ = clear_ambient_capability_set();
    // The bounding set limits what running a program can give. Nothing is run
    // any more, and without CAP_SETPCAP it cannot be changed: no error.
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        if remove_capability_from_bounding_set(capability).is_err() {
            break;
        }
    }
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    Ok(set_capabilities(None, none)?)
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
