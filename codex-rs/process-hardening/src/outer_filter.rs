//! The filter of system calls that this process was started under, such as a container's profile (`seccomp(2)`).

use std::io;
use std::sync::OnceLock;

use rustix::thread::{SecureComputingMode, secure_computing_mode};

/// Looked at once, before this process adds filters of its own.
static IS_THERE: OnceLock<bool> = OnceLock::new();

/// Looks, the first time that it is called.
pub(crate) fn look() -> bool {
    // Under a filter that refuses even this question there is one.
    *IS_THERE.get_or_init(|| {
        !matches!(
            secure_computing_mode(),
            Ok(SecureComputingMode::Disabled) | Err(rustix::io::Errno::INVAL)
        )
    })
}

/// Whether this process was started under a filter of system calls; as it was when [`harden`](crate::harden) ran.
#[must_use]
pub fn started_under_a_filter() -> bool {
    look()
}

/// What stands in the way of calls that failed with this error, if it can be a filter; `calls` are their names.
pub(crate) fn explain(error: &io::Error, calls: &str) -> Option<String> {
    explained(error, calls, look())
}

fn explained(error: &io::Error, calls: &str, is_filtered: bool) -> Option<String> {
    let cure = format!(
        "start the container with a profile that allows {calls} (--security-opt seccomp=FILE), which takes no capability"
    );
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if is_filtered => Some(format!(
            "a filter of system calls refuses it (seccomp, such as a container's profile); {cure}"
        )),
        Some(libc::ENOSYS) if is_filtered => Some(format!(
            "or a filter of system calls hides it (seccomp, such as a container's profile); then {cure}"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_blamed_where_there_is_one_and_the_error_is_a_filter_s() {
        let told = |errno, is_filtered| {
            explained(&io::Error::from_raw_os_error(errno), "mlock", is_filtered)
        };
        let refused = told(libc::EPERM, true).unwrap();
        assert!(
            refused.contains("refuses it") && refused.contains("allows mlock"),
            "{refused}"
        );
        assert!(told(libc::ENOSYS, true).unwrap().starts_with("or a filter"));
        for (errno, is_filtered) in [
            (libc::EPERM, false),
            (libc::ENOSYS, false),
            (libc::EINVAL, true),
            (libc::EOPNOTSUPP, true),
        ] {
            assert_eq!(told(errno, is_filtered), None);
        }
    }
}
