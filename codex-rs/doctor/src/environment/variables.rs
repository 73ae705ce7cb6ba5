//! Keys in the environment of this process and of those that it was started by: names of variables, never values.

use crate::finding::Finding;
use crate::key_shape::{Holds, holds};

const OWN: &str = "environment.keys";
const ANCESTORS: &str = "environment.ancestors";
const WHY: &str = "every process of the user can read it in /proc/PID/environ, agents among them";

/// How far up is looked.
#[cfg(target_os = "linux")]
const GENERATIONS: usize = 64;

/// Of this process.
pub(super) fn own() -> Finding {
    let mut keys = Vec::new();
    let mut others = Vec::new();
    for (name, value) in std::env::vars_os() {
        match holds(name.as_encoded_bytes(), value.as_encoded_bytes()) {
            Holds::Key => keys.push(name.to_string_lossy().into_owned()),
            Holds::MaybeKey => others.push(name.to_string_lossy().into_owned()),
            Holds::NoKey => {}
        }
    }
    judge(OWN, "here", &keys, &others)
}

fn judge(check: &'static str, place: &str, keys: &[String], others: &[String]) -> Finding {
    if !keys.is_empty() {
        let names = keys.join(", ");
        return Finding::failed(
            check,
            format!("an API key is in {names}"),
            WHY,
            "unset it, remove it from shell profiles and units, give it to the proxy on standard input, and renew it",
        );
    }
    if !others.is_empty() {
        let names = others.join(", ");
        return Finding::warning(
            check,
            format!("a key of some service may be in {names}"),
            WHY,
            "unset it where agents run",
        );
    }
    Finding::ok(check, format!("no variable {place} holds an API key"), WHY)
}

/// Of the processes that this one was started by, as far as they may be read.
#[cfg(target_os = "linux")]
pub(super) fn of_ancestors() -> Finding {
    use crate::processes::{Status, keys_in_environment};

    let mut keys = Vec::new();
    let mut others = Vec::new();
    let mut unread = 0_usize;
    let mut next = Status::of("self").ok().and_then(|own| own.parent());
    let mut looked = 0_usize;
    while let Some(pid) = next.filter(|&pid| pid != 0 && looked < GENERATIONS) {
        let Ok(status) = Status::of(&pid.to_string()) else {
            break;
        };
        looked += 1;
        match keys_in_environment(&pid.to_string()) {
            Ok(found) => {
                let user = status.users().first().copied();
                let user = user.map_or_else(String::new, |user| format!(" of user {user}"));
                for (variable, kind) in found {
                    let place = format!("{variable} of process {pid} ({}){user}", status.name());
                    match kind {
                        Holds::Key => keys.push(place),
                        Holds::MaybeKey => others.push(place),
                        Holds::NoKey => {}
                    }
                }
            }
            Err(_) => unread += 1,
        }
        next = status.parent();
    }
    if looked == 0 && next.is_some() {
        return Finding::unknown(
            ANCESTORS,
            "/proc does not show them",
            WHY,
            "sudo codex doctor",
        );
    }
    let place = format!(
        "of the {looked} processes that this one was started by ({unread} of them closed to it)"
    );
    judge(ANCESTORS, &place, &keys, &others)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn of_ancestors() -> Finding {
    Finding::unknown(
        ANCESTORS,
        "not looked at: this check is for Linux",
        WHY,
        "env, in the shells that started this one",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn a_key_fails_and_what_may_be_one_is_a_warning() {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let state =
            |keys: &[&str], others: &[&str]| judge(OWN, "here", &names(keys), &names(others)).state;
        assert_eq!(state(&[], &[]), State::Ok);
        assert_eq!(state(&[], &["GEMINI_API_KEY"]), State::Warning);
        assert_eq!(
            state(&["OPENAI_API_KEY"], &["GEMINI_API_KEY"]),
            State::Failed
        );
    }
}
