//! Pure: which keys of a configuration are known, and to whom.

use std::fmt;

use toml::Table;

/// Those of ours, below which there is no table.
pub(super) const OURS: [&str; 12] = [
    "developer_instructions",
    "instructions",
    "max_output_tokens",
    "model",
    "model_instructions_file",
    "model_provider",
    "model_reasoning_effort",
    "model_reasoning_summary",
    "model_verbosity",
    "openai_base_url",
    "profile",
    "service_tier",
];
/// Those of ours in the table of a provider.
const OF_PROVIDER: [&str; 15] = [
    "auth",
    "base_url",
    "env_http_headers",
    "env_key",
    "env_key_instructions",
    "experimental_bearer_token",
    "http_headers",
    "name",
    "query_params",
    "request_max_retries",
    "requires_openai_auth",
    "stream_idle_timeout_ms",
    "stream_max_retries",
    "supports_websockets",
    "wire_api",
];
/// Those of Codex that would change a request of a chat, and what is done about them here.
const OF_CODEX_IN_REQUESTS: [&str; 7] = [
    "experimental_instructions_file",
    "model_catalog_json",
    "oss_provider",
    "personality",
    "tools",
    "web_search",
    "web_search_mode",
];
/// Those of Codex 0.171 that are about its agent, its screen or its account.
const OF_CODEX: [&str; 67] = [
    "agents",
    "allow_login_shell",
    "analytics",
    "approval_policy",
    "approvals_reviewer",
    "apps",
    "audio",
    "background_terminal_max_timeout",
    "chatgpt_base_url",
    "check_for_update_on_startup",
    "cli_auth_credentials_store",
    "commit_attribution",
    "compact_prompt",
    "default_permissions",
    "disable_paste_burst",
    "disable_response_storage",
    "experimental_compact_prompt_file",
    "experimental_use_freeform_apply_patch",
    "experimental_use_unified_exec_tool",
    "features",
    "feedback",
    "file_opener",
    "forced_chatgpt_workspace_id",
    "forced_login_method",
    "ghost_snapshot",
    "hide_agent_reasoning",
    "history",
    "hooks",
    "js_repl_node_module_dirs",
    "js_repl_node_path",
    "log_dir",
    "marketplaces",
    "mcp_oauth_callback_port",
    "mcp_oauth_callback_url",
    "mcp_oauth_credentials_store",
    "mcp_servers",
    "memories",
    "model_auto_compact_token_limit",
    "model_context_window",
    "model_supports_reasoning_summaries",
    "notice",
    "notify",
    "otel",
    "permissions",
    "plan_mode_reasoning_effort",
    "plugins",
    "preferred_auth_method",
    "project_doc_fallback_filenames",
    "project_doc_max_bytes",
    "project_root_markers",
    "projects",
    "realtime",
    "review_model",
    "rules",
    "sandbox_mode",
    "sandbox_workspace_write",
    "shell_environment_policy",
    "show_raw_agent_reasoning",
    "skills",
    "sqlite_home",
    "suppress_unstable_features_warning",
    "tool_output_token_limit",
    "tui",
    "windows",
    "windows_wsl_setup_acknowledged",
    "worktrees",
    "zsh_path",
];
/// And in the table of a provider.
const OF_CODEX_PROVIDER: [&str; 4] = [
    "aws",
    "originator",
    "websocket_connect_timeout_ms",
    "websocket_max_retries",
];
/// How far a mistyped key may be from the right one, in letters.
const SLIP: usize = 2;

/// A key that has no effect here.
#[derive(Debug)]
pub(super) struct UnknownKey {
    source: String,
    key: String,
    why: Why,
    /// Whether a request would be another if it had one.
    pub(super) changes_request: bool,
}

#[derive(Debug)]
enum Why {
    OfCodex,
    Mistyped(&'static str),
    Unknown,
}

impl fmt::Display for UnknownKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, key, .. } = self;
        match self.why {
            Why::OfCodex => write!(f, "{source}: {key} has no effect in this chat client"),
            Why::Mistyped(meant) => {
                write!(
                    f,
                    "{source}: {key} is not a known key; did you mean {meant}?"
                )
            }
            Why::Unknown => write!(f, "{source}: {key} is not a known key"),
        }
    }
}

/// The keys of a document that have no effect here, but for those of an agent. `source` is for messages.
pub(super) fn unknown_keys(source: &str, document: &Table) -> Vec<UnknownKey> {
    let mut found = Vec::new();
    for (key, value) in document {
        let tables = || value.as_table().into_iter().flatten();
        match key.as_str() {
            "profiles" => {
                for (name, profile) in tables() {
                    let source = format!("{source}, [profiles.{name}]");
                    let profile = profile.as_table().cloned().unwrap_or_default();
                    found.extend(unknown_keys(&source, &profile));
                }
            }
            "model_providers" => {
                for (id, provider) in tables() {
                    for key in provider.as_table().into_iter().flat_map(Table::keys) {
                        if !OF_CODEX_PROVIDER.contains(&key.as_str()) {
                            let dotted = format!("model_providers.{id}.{key}");
                            found.extend(unknown(source, &dotted, key, &OF_PROVIDER));
                        }
                    }
                }
            }
            of_codex if OF_CODEX.contains(&of_codex) => {}
            of_codex if OF_CODEX_IN_REQUESTS.contains(&of_codex) => found.push(UnknownKey {
                source: source.to_owned(),
                key: key.clone(),
                why: Why::OfCodex,
                changes_request: true,
            }),
            _ => found.extend(unknown(source, key, key, &OURS)),
        }
    }
    found
}

fn unknown(
    source: &str,
    dotted: &str,
    key: &str,
    known: &'static [&'static str],
) -> Option<UnknownKey> {
    if known.contains(&key) {
        return None;
    }
    let near = |known: &&&str| strsim::osa_distance(key, known) <= SLIP.min(known.len() / 4);
    let meant = known
        .iter()
        .chain(&OF_CODEX_IN_REQUESTS)
        .find(near)
        .copied();
    Some(UnknownKey {
        source: source.to_owned(),
        key: dotted.to_owned(),
        // Other keys may be of a Codex that is newer than this.
        changes_request: meant.is_some() || key.starts_with("model_"),
        why: meant.map_or(Why::Unknown, Why::Mistyped),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_would_change_a_request_are_told_from_those_of_an_agent() {
        let document = "modle = 'x'\nweb_serch = 'x'\nmodel_temperature = 1\nsandbox_mode = 'x'\nweb_search = 'live'\nfoo = 1\n\
            [model_providers.p]\nname = 'p'\nbase_ulr = 'x'\nsupports_websockets = true\n\
            [profiles.q]\nmodel_verbosty = 'low'";
        let found = unknown_keys("F", &document.parse().unwrap());
        let mut found: Vec<_> = found
            .iter()
            .map(|note| (note.changes_request, note.to_string()))
            .collect();
        let expected = [
            (false, "F: foo is not a known key"),
            (
                true,
                "F: model_providers.p.base_ulr is not a known key; did you mean base_url?",
            ),
            (true, "F: model_temperature is not a known key"),
            (true, "F: modle is not a known key; did you mean model?"),
            (
                true,
                "F, [profiles.q]: model_verbosty is not a known key; did you mean model_verbosity?",
            ),
            (true, "F: web_search has no effect in this chat client"),
            (
                true,
                "F: web_serch is not a known key; did you mean web_search?",
            ),
        ];
        found.sort();
        let mut expected = expected.map(|(changes, said)| (changes, said.to_owned()));
        expected.sort();
        assert_eq!(found, expected);
    }
}
