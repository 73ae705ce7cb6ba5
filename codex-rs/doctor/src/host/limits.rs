//! Limits of this process (`getrlimit(2)`), which a proxy started from here would have too.

use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::finding::Finding;

/// One page, for a key that never changes.
const ONE_PAGE: u64 = 4096;

/// Enough for keys that change.
const CHANGING_KEYS: u64 = 128 * 1024;

/// Fewer descriptors than this are soon used up by callers.
const FEW_DESCRIPTORS: u64 = 1024;

pub(super) fn all() -> [Finding; 3] {
    [
        limit(
            "host.memlock",
            Resource::RLIMIT_MEMLOCK,
            "the key's page is locked in RAM under this limit",
            |soft, _| of_memlock(soft),
        ),
        limit(
            "host.nofile",
            Resource::RLIMIT_NOFILE,
            "each caller takes a descriptor or two; the proxy raises its limit to the hard one",
            |_, hard| of_descriptors(hard),
        ),
        limit(
            "host.core",
            Resource::RLIMIT_CORE,
            "the proxy sets its own to 0, before it reads the key",
            |soft, _| Finding::ok("host.core", bytes(soft), ""),
        ),
    ]
}

fn limit(
    check: &'static str,
    which: Resource,
    why: &'static str,
    judge: impl Fn(u64, u64) -> Finding,
) -> Finding {
    match getrlimit(which) {
        Ok((soft, hard)) => Finding {
            why: why.into(),
            ..judge(soft, hard)
        },
        Err(error) => Finding::unknown(check, error.to_string(), why, "ulimit -a"),
    }
}

fn of_memlock(soft: u64) -> Finding {
    let check = "host.memlock";
    if soft >= CHANGING_KEYS {
        return Finding::ok(check, bytes(soft), "");
    }
    let mend = "ulimit -l 8192, LimitMEMLOCK=8M in the unit, or --ulimit memlock=1048576 for the container";
    let found = format!(
        "{}; keys that change need up to {CHANGING_KEYS}",
        bytes(soft)
    );
    if soft >= ONE_PAGE {
        Finding::warning(check, found, "", mend)
    } else {
        Finding::failed(check, bytes(soft), "", mend)
    }
}

fn of_descriptors(hard: u64) -> Finding {
    let check = "host.nofile";
    if hard >= FEW_DESCRIPTORS {
        Finding::ok(check, format!("up to {}", number(hard)), "")
    } else {
        let mend = "raise LimitNOFILE in the unit, or the limit in limits.conf(5)";
        Finding::warning(check, format!("at most {hard}"), "", mend)
    }
}

fn bytes(limit: u64) -> String {
    if limit == RLIM_INFINITY {
        "unlimited".to_owned()
    } else {
        format!("{limit} bytes")
    }
}

fn number(limit: u64) -> String {
    if limit == RLIM_INFINITY {
        "any number".to_owned()
    } else {
        limit.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn too_little_memory_to_lock_is_a_fault() {
        for (soft, state) in [
            (RLIM_INFINITY, State::Ok),
            (8 << 20, State::Ok),
            (64 * 1024, State::Warning),
            (0, State::Failed),
        ] {
            assert_eq!(of_memlock(soft).state, state, "{soft}");
        }
        assert_eq!(of_descriptors(256).state, State::Warning);
        assert_eq!(of_descriptors(RLIM_INFINITY).state, State::Ok);
    }
}
