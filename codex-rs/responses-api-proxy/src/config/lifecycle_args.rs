//! The flags for the proxy's beginning and end, and which descriptors they take.

use std::time::Duration;

use crate::config::units::parse_duration;

/// The first descriptor that is not a standard stream.
const FIRST: i64 = 3;

// When the proxy ends by itself, and whom it tells that it is ready. Not a doc comment: clap would print it.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct LifecycleArgs {
    /// Exit with status 0 after this long without a request
    ///
    /// For a proxy that the next connection starts again (socket activation).
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub idle_exit: Option<Duration>,

    /// Wipe the key and exit with status 0 this long after the key was read
    ///
    /// Time in suspend counts. Requests in flight by then may finish within `--drain-timeout`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub expire_after: Option<Duration>,

    /// Exit when this process, the proxy's parent or another ancestor, ends (Linux)
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(i32).range(1..))]
    pub parent_pid: Option<i32>,

    /// Exit when the other end of this pipe or stream socket is closed
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(FIRST..))]
    pub lifeline_fd: Option<i32>,

    /// Descriptor to write the `--server-info` line to once connections are accepted, then close
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(FIRST..))]
    pub ready_fd: Option<i32>,
}

/// A descriptor that two have a claim to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SharedDescriptor {
    number: i32,
    /// Who, such as `--ready-fd`.
    claims: [&'static str; 2],
}

impl std::fmt::Display for SharedDescriptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            number,
            claims: [one, other],
        } = self;
        write!(
            f,
            "{one} and {other} both name descriptor {number}; name another one for one of them"
        )
    }
}

impl std::error::Error for SharedDescriptor {}

/// # Errors
///
/// [`SharedDescriptor`], if two of these numbers are one.
pub(crate) fn each_has_its_own(
    claims: &[(&'static str, Option<i32>)],
) -> Result<(), SharedDescriptor> {
    let mut seen: Vec<(&'static str, i32)> = Vec::new();
    for &(claim, number) in claims {
        let Some(number) = number else {
            continue;
        };
        if let Some(&(other, _)) = seen.iter().find(|&&(_, taken)| taken == number) {
            return Err(SharedDescriptor {
                number,
                claims: [other, claim],
            });
        }
        seen.push((claim, number));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_flags_cannot_have_one_descriptor() {
        let apart = [("--key-fd", Some(3)), ("--ready-fd", Some(4))];
        assert_eq!(each_has_its_own(&apart), Ok(()));
        let unset = [("--key-fd", None), ("--ready-fd", None)];
        assert_eq!(each_has_its_own(&unset), Ok(()));
        let shared = [
            ("--key-fd", Some(3)),
            ("--lifeline-fd", Some(4)),
            ("--ready-fd", Some(3)),
        ];
        assert_eq!(
            each_has_its_own(&shared).unwrap_err().to_string(),
            "--key-fd and --ready-fd both name descriptor 3; name another one for one of them"
        );
    }
}
