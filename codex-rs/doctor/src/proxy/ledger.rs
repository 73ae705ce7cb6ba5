//! The server that hosts share, where the proxy has one: how it does, as the proxy's control socket says.

use codex_control::{SharedLedger, status};
use codex_server_info::Found;

use crate::finding::Finding;
use crate::processes::read_secret;

const CHECK: &str = "proxy.ledger";
const WHY: &str = "limits that hosts share hold as well as the server that has them";
const ASK_AS_ROOT: &str = "sudo codex doctor, or start the proxy with --control unix:/PATH";

pub(super) fn finding(found: &Found) -> Finding {
    let is_shared = read_secret(&format!("/proc/{}/cmdline", found.info.pid))
        .map(|arguments| names_a_server(&arguments));
    if matches!(is_shared, Ok(false)) {
        return Finding::ok(CHECK, "this host shares no limits", WHY);
    }
    let Some(socket) = &found.info.control_socket else {
        let said = "the proxy has no control socket to ask";
        return Finding::unknown(CHECK, said, WHY, ASK_AS_ROOT);
    };
    match status(socket) {
        Ok(status) => match status.ledger {
            Some(ledger) => of(&ledger),
            None => Finding::ok(CHECK, "this host shares no limits", WHY),
        },
        Err(error) => Finding::unknown(CHECK, error.to_string(), WHY, ASK_AS_ROOT),
    }
}

fn of(ledger: &SharedLedger) -> Finding {
    let at = &ledger.address;
    if !ledger.up {
        let error = ledger.error.as_deref().unwrap_or("it has not answered yet");
        return Finding::failed(
            CHECK,
            format!("{at} is away: {}", error),
            WHY,
            "codex responses-api-proxy budget show --ledger ADDRESS, from this host",
        );
    }
    match ledger.warnings.first() {
        Some(warning) => Finding::warning(
            CHECK,
            format!("{at} answers, but {}", warning),
            WHY,
            "codex responses-api-proxy status has all of its warnings",
        ),
        None => Finding::ok(CHECK, format!("{at} answers"), WHY),
    }
}

/// Whether arguments, each ended by a zero byte, name a server as `--ledger`.
fn names_a_server(arguments: &[u8]) -> bool {
    let words: Vec<&[u8]> = arguments.split(|&byte| byte == 0).collect();
    let is_server = |value: &[u8]| value.starts_with(b"redis");
    let joined = |word: &&[u8]| word.strip_prefix(b"--ledger=").is_some_and(is_server);
    words.iter().any(joined)
        || words
            .windows(2)
            .any(|pair| matches!(pair, [b"--ledger", value] if is_server(value)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn a_server_is_told_from_a_file() {
        assert!(names_a_server(b"codex\0--ledger\0rediss://store\0--port\0"));
        assert!(names_a_server(b"codex\0--ledger=redis+unix:/s\0"));
        assert!(!names_a_server(b"codex\0--ledger\0/var/lib/redis\0"));
        assert!(!names_a_server(b"codex\0--budget\0redis:\0"));
    }

    #[test]
    fn a_server_that_is_away_fails_and_one_with_a_warning_warns() {
        let mut ledger = SharedLedger {
            address: "redis://store:6379/0".to_owned(),
            up: true,
            ..SharedLedger::default()
        };
        assert_eq!(of(&ledger).state, State::Ok);
        ledger.warnings.push("it evicts".to_owned());
        assert_eq!(of(&ledger).state, State::Warning);
        ledger.up = false;
        ledger.error = Some("gone".to_owned());
        let found = of(&ledger);
        assert_eq!(found.state, State::Failed);
        assert!(found.found.ends_with("is away: gone"), "{}", found.found);
    }
}
