//! Whether one user number stands for many (`user_namespaces(7)`).
//!
//! In a user namespace that does not map every user of the host, those it does not map
//! are all shown as one, the overflow user, which is called `nobody` on most systems.

use std::fs;
use std::io;

/// How many user numbers there are; the last one stands for none.
const ALL: u64 = u32::MAX as u64;

/// What the kernel starts with (`/proc/sys/kernel/overflowuid`, proc(5)).
const DEFAULT_OVERFLOW: u32 = 65_534;

/// The user that stands for all that this namespace does not map, if there are any.
pub(crate) fn stand_in_for_unmapped() -> Option<u32> {
    match fs::read_to_string("/proc/self/uid_map") {
        Ok(map) if maps_all(&map) => None,
        // A kernel without user namespaces.
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        // Where it cannot be told, it may be so.
        Ok(_) | Err(_) => Some(overflow()),
    }
}

fn overflow() -> u32 {
    fs::read_to_string("/proc/sys/kernel/overflowuid")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(DEFAULT_OVERFLOW)
}

/// Whether the lines, `INSIDE OUTSIDE COUNT` each, leave no user out. They do not overlap.
fn maps_all(map: &str) -> bool {
    let counts = map
        .lines()
        .filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    counts.sum::<u64>() >= ALL
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_map_is_whole_or_leaves_users_out() {
        assert!(maps_all("         0          0 4294967295\n"));
        assert!(maps_all("0 0 1000\n1000 1000 4294966295\n"));
        for map in ["", "0 1000 1\n", "0 1000 1\n1 100000 65536\n", "0 0 x\n"] {
            assert!(!maps_all(map), "{map:?}");
        }
    }
}
