//! What a page got from the kernel, in words an operator can read.

use std::fmt;

/// The kind of memory behind a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// `memfd_secret(2)`: absent from the kernel's own map, so unreadable
    /// through `/proc/PID/mem` and `ptrace(2)` peeks, even for root.
    SecretMem,
    /// Private anonymous memory: root can read it.
    Anonymous,
}

/// The protections a page really has; not what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The kind of memory.
    pub backing: Backing,
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
}
