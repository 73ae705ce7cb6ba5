//! What a page got from the kernel, in words an operator can read.

use std::fmt;
use std::io;

/// The kind of memory behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// `memfd_secret(2)`: absent from the kernel's own map, so unreadable
    /// through `/proc/PID/mem` and `ptrace(2)` peeks, even for root.
    SecretMem,
    /// Private anonymous memory: root can read it.
    Anonymous,
}

/// Why `memfd_secret(2)` gave no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretMemoryRefused {
    /// `EPERM` or `EACCES`, which the call itself never fails with: something stands before it, such as a filter of
    /// system calls (`seccomp(2)`).
    BeforeTheKernel,
    /// `ENOSYS`: this kernel does not have it, or was started without it; or a filter says so.
    NotThere,
    /// Anything else, a limit for one; or another system.
    Other,
}

impl From<&io::Error> for SecretMemoryRefused {
    fn from(error: &io::Error) -> Self {
        match error.raw_os_error() {
            #[cfg(unix)]
            Some(libc::EPERM | libc::EACCES) => Self::BeforeTheKernel,
            #[cfg(unix)]
            Some(libc::ENOSYS) => Self::NotThere,
            _ => Self::Other,
        }
    }
}

/// The protections a page really has; not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The kind of memory.
    pub backing: Backing,
    /// Why it is not [`Backing::SecretMem`].
    pub refused: Option<SecretMemoryRefused>,
    /// Never written to swap (`mlock(2)`, or secret memory, which is always so).
    pub locked: bool,
    /// Left out of core dumps (`MADV_DONTDUMP`).
    pub undumpable: bool,
    /// Absent or zeroed in child processes (`MADV_DONTFORK`, `MADV_WIPEONFORK`).
    pub hidden_from_children: bool,
}

impl fmt::Display for Protection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.backing {
            Backing::SecretMem => "memfd_secret page",
            Backing::Anonymous => "anonymous page",
        })?;
        for (held, what) in [
            (self.locked, "locked in RAM"),
            (self.undumpable, "left out of core dumps"),
            (self.hidden_from_children, "hidden from children"),
        ] {
            write!(f, ", {}{what}", if held { "" } else { "NOT " })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_protection_is_named_as_missing() {
        let words = Protection {
            backing: Backing::Anonymous,
            refused: Some(SecretMemoryRefused::NotThere),
            locked: false,
            undumpable: true,
            hidden_from_children: true,
        }
        .to_string();
        assert_eq!(
            words,
            "anonymous page, NOT locked in RAM, left out of core dumps, hidden from children"
        );
    }

    #[cfg(unix)]
    #[test]
    fn a_filter_is_told_from_a_kernel_that_has_no_secret_memory() {
        for (errno, why) in [
            (libc::EPERM, SecretMemoryRefused::BeforeTheKernel),
            (libc::EACCES, SecretMemoryRefused::BeforeTheKernel),
            (libc::ENOSYS, SecretMemoryRefused::NotThere),
            (libc::EAGAIN, SecretMemoryRefused::Other),
            (libc::ENOMEM, SecretMemoryRefused::Other),
        ] {
            assert_eq!(
                SecretMemoryRefused::from(&io::Error::from_raw_os_error(errno)),
                why
            );
        }
    }
}
