//! Whether a server is one that limits can be entrusted to: what it says of itself (`INFO`).

use std::fmt;

/// The oldest Redis that is supported; every Valkey is.
const OLDEST: u64 = 7;

/// What is wrong with a server that answers all the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Concern {
    /// It is a Redis older than 7.
    Old(String),
    /// It removes keys when its memory is full, by this policy.
    Evicts(String),
    /// It writes nothing to a disk.
    Forgets,
    /// It follows another server and takes no writes of its own.
    Replica,
}

impl fmt::Display for Concern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Old(version) => write!(
                f,
                "it is Redis {version}, and nobody tries this with Redis before 7; upgrade it"
            ),
            Self::Evicts(policy) => write!(
                f,
                "it removes keys when its memory is full (maxmemory-policy {policy}), and a limit whose key is gone \
                 begins anew; set maxmemory-policy noeviction"
            ),
            Self::Forgets => f.write_str(
                "it keeps nothing on its disk, and limits begin anew when it is started again; set appendonly yes",
            ),
            Self::Replica => f.write_str(
                "it is a replica, which takes no writes; name the primary in --ledger",
            ),
        }
    }
}

/// What is wrong with a server, by its answer to `INFO`. Of what it does not say nothing follows.
pub(crate) fn concerns(info: &str) -> Vec<Concern> {
    let field = |name: &str| {
        info.lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(str::trim)
    };
    let mut found = Vec::new();
    // Valkey says which Redis it is compatible with, besides.
    if field("valkey_version").is_none()
        && let Some(version) = field("redis_version")
        && let Some(major) = version.split('.').next()
        && major.parse::<u64>().is_ok_and(|major| major < OLDEST)
    {
        found.push(Concern::Old(word(version)));
    }
    if let Some(policy) = field("maxmemory_policy")
        && policy != "noeviction"
        // Without a limit it is never full.
        && field("maxmemory") != Some("0")
    {
        found.push(Concern::Evicts(word(policy)));
    }
    if field("aof_enabled") == Some("0") {
        found.push(Concern::Forgets);
    }
    if field("role") == Some("slave") {
        found.push(Concern::Replica);
    }
    found
}

/// The beginning of what should be a short word.
fn word(text: &str) -> String {
    text.chars().take(32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_as_it_should_be_gives_no_concern() {
        let good = "# Server\r\nredis_version:7.0.15\r\n# Memory\r\nmaxmemory:0\r\nmaxmemory_policy:allkeys-lru\r\n\
                    aof_enabled:1\r\nrole:master\r\n";
        assert_eq!(concerns(good), []);
        assert_eq!(
            concerns("valkey_version:8.0.1\r\nredis_version:7.2.4\r\n"),
            []
        );
        for nothing in ["", "x", ":", "redis_version\r\n", "redis_version:\r\n"] {
            assert_eq!(concerns(nothing), []);
        }
    }

    #[test]
    fn each_concern_is_found_and_a_long_word_is_cut() {
        let bad = "redis_version:6.2.1\r\nmaxmemory_policy:allkeys-lru\r\naof_enabled:0\r\nrole:slave\r\n";
        let expected = [
            Concern::Old("6.2.1".to_owned()),
            Concern::Evicts("allkeys-lru".to_owned()),
            Concern::Forgets,
            Concern::Replica,
        ];
        assert_eq!(concerns(bad), expected);
        let long = format!("maxmemory_policy:{}", "x".repeat(1000));
        assert_eq!(concerns(&long), [Concern::Evicts("x".repeat(32))]);
    }
}
