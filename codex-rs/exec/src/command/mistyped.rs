//! Pure: words that were meant as a subcommand and are not a question.

use crate::prompt::is_like_a_key;

/// How far a mistyped word may be from the right one, in letters.
const SLIP: usize = 2;
/// Ours.
const COMMANDS: [&str; 7] = [
    "responses-api-proxy",
    "exec",
    "resume",
    "config",
    "models",
    "doctor",
    "completion",
];
/// Those of OpenAI's Codex CLI 0.171 that are not here.
const OF_CODEX: [&str; 22] = [
    "agents",
    "app-server",
    "apply",
    "archive",
    "cloud",
    "debug",
    "delete",
    "exec-server",
    "features",
    "fork",
    "login",
    "logout",
    "mcp",
    "migrate-nfs-db",
    "migrate-rollouts",
    "plugin",
    "queue",
    "remote-control",
    "review",
    "sandbox",
    "unarchive",
    "update",
];

/// Subcommands of its `exec`.
const OF_CODEX_EXEC: [&str; 2] = ["fork", "review"];

/// What to say of a prompt of `exec` that is a subcommand there.
pub(crate) fn of_exec(prompt: &str) -> Option<String> {
    OF_CODEX_EXEC.contains(&prompt).then(|| {
        format!(
            "exec {prompt} is a subcommand of OpenAI's Codex CLI, which this is not; to send the word as a \
             prompt, use echo {prompt} | codex exec -"
        )
    })
}

/// Whether it may be a subcommand that was mistyped. In a script such a word is never sent to a
/// model, for what comes with it on standard input may be a key.
pub(crate) fn may_be_command(prompt: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    prompt.len() > 1 && prompt.chars().all(is_part)
}

/// What to say to somebody on a terminal who typed this, if it is a subcommand rather than a
/// question.
pub(crate) fn hint(prompt: &str) -> Option<String> {
    if !may_be_command(prompt) {
        return None;
    }
    if OF_CODEX.contains(&prompt) {
        return Some(format!(
            "{prompt} is a subcommand of OpenAI's Codex CLI, which this is not; to send the word as a \
             prompt, use echo {prompt} | codex exec -"
        ));
    }
    // Half of a short word may be a slip and the rest another word.
    let slip = |command: &str| SLIP.min(command.len() / 4);
    let is_near = |command: &str| {
        let distance = strsim::osa_distance(prompt, command);
        distance <= slip(command) || command.len() > 8 && command.starts_with(prompt)
    };
    let meant = COMMANDS.into_iter().find(|command| is_near(command))?;
    Some(format!(
        "there is no subcommand {prompt}; did you mean {meant}? To send it as a prompt, use \
         codex exec {prompt}"
    ))
}

/// What to say where there is no terminal.
pub(crate) fn no_such(prompt: &str) -> String {
    if is_like_a_key(prompt) {
        // Not repeated: what goes to standard error ends up in logs.
        return "the argument looks like an API key, and arguments are seen by other users and kept by the shell: \
                revoke it; to give a key to the proxy, run codex responses-api-proxy and paste it"
            .to_owned();
    }
    hint(prompt).unwrap_or_else(|| {
        format!("there is no subcommand {prompt}; to send it as a prompt, use codex exec {prompt}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_the_place_of_a_subcommand_is_not_repeated() {
        let said = no_such("sk-proj-abcdefghijklmnop_1");
        assert!(
            said.contains("revoke it") && !said.contains("sk-proj"),
            "{said}"
        );
        assert!(no_such("hello").contains("use codex exec hello"));
    }

    #[test]
    fn subcommands_are_no_questions() {
        for (word, says) in [
            ("login", "of OpenAI's Codex CLI"),
            ("fork", "of OpenAI's Codex CLI"),
            ("resumee", "did you mean resume?"),
            ("responses-api-prox", "did you mean responses-api-proxy?"),
            ("response-api-proxy", "did you mean responses-api-proxy?"),
            ("responses", "did you mean responses-api-proxy?"),
            ("exce", "did you mean exec?"),
            ("completions", "did you mean completion?"),
        ] {
            let hint = hint(word);
            assert!(
                hint.as_deref().is_some_and(|hint| hint.contains(says)),
                "{hint:?}"
            );
        }
        assert!(of_exec("review").is_some_and(|hint| hint.contains("exec review is")));
        assert_eq!(of_exec("review this"), None);
        for word in ["hello", "why?", "text", "state-of-the-art", "log in", "?"] {
            assert_eq!(hint(word), None);
        }
    }
}
