//! Keys in the arguments and the environment of the proxy itself.

use std::io;

use crate::finding::Finding;
use crate::key_shape::{Holds, has_key_in_it};
use crate::processes::{keys_in_environment, read_secret};

pub(super) fn findings(pid: u32) -> [Finding; 2] {
    [
        arguments(read_secret(&format!("/proc/{pid}/cmdline")).map(|text| has_key_in_it(&text))),
        environment(keys_in_environment(&pid.to_string())),
    ]
}

fn arguments(has_key: io::Result<bool>) -> Finding {
    let check = "proxy.arguments";
    let why = "every user can read them (ps)";
    match has_key {
        Ok(false) => Finding::ok(check, "nothing in them looks like a key", why),
        Ok(true) => Finding::failed(
            check,
            "something in them looks like a key",
            why,
            "give the key on standard input, and renew it",
        ),
        Err(error) => Finding::unknown(check, error.to_string(), why, "sudo codex doctor"),
    }
}

fn environment(keys: io::Result<Vec<(String, Holds)>>) -> Finding {
    let check = "proxy.environment";
    let why = "it stays in the memory of the process, outside of the locked page";
    match keys {
        Ok(keys) => {
            let names: Vec<String> = keys
                .into_iter()
                .filter(|(_, kind)| *kind == Holds::Key)
                .map(|(name, _)| name)
                .collect();
            Finding::ok_if(
                names.is_empty(),
                check,
                if names.is_empty() {
                    "no variable in it holds an API key".to_owned()
                } else {
                    format!("an API key is in {}", names.join(", "))
                },
                why,
                "start it by env -u NAME, and renew the key",
            )
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Finding::ok(check, "closed to this user", why)
        }
        Err(error) => Finding::unknown(check, error.to_string(), why, "sudo codex doctor"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::State;

    #[test]
    fn a_key_in_either_place_fails() {
        assert_eq!(arguments(Ok(true)).state, State::Failed);
        assert_eq!(arguments(Ok(false)).state, State::Ok);
        let key = |kind| environment(Ok(vec![("OPENAI_API_KEY".to_owned(), kind)])).state;
        assert_eq!(key(Holds::Key), State::Failed);
        assert_eq!(key(Holds::MaybeKey), State::Ok);
        let error = |kind: io::ErrorKind| environment(Err(kind.into())).state;
        assert_eq!(error(io::ErrorKind::PermissionDenied), State::Ok);
        assert_eq!(error(io::ErrorKind::NotFound), State::Unknown);
    }
}
