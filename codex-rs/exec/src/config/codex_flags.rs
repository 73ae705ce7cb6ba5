//! Flags of OpenAI's Codex CLI 0.171 that steer an agent. Scripts that were written for it give them, so those
//! without a meaning for a chat are taken, and those that would make it something else are named.

use clap::Args;

/// The flags, none of which is in the help.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct CodexFlags {
    // Without a meaning here: nothing is run, and no directory is trusted or not.
    #[arg(long, hide = true)]
    skip_git_repo_check: bool,
    #[arg(short, long, hide = true, value_name = "MODE")]
    sandbox: Option<String>,
    #[arg(long, hide = true, value_name = "DIR")]
    add_dir: Vec<String>,
    #[arg(long, hide = true, value_name = "FEATURE")]
    enable: Vec<String>,
    #[arg(long, hide = true, value_name = "FEATURE")]
    disable: Vec<String>,
    #[arg(long, hide = true)]
    ignore_rules: bool,
    #[arg(long, alias = "yolo", hide = true)]
    dangerously_bypass_approvals_and_sandbox: bool,
    #[arg(long, hide = true)]
    dangerously_bypass_hook_trust: bool,
    #[arg(long, hide = true)]
    trust: bool,
    #[arg(long, hide = true)]
    approve_for_me: bool,
    #[arg(long, hide = true, value_name = "SOURCE")]
    thread_source: Option<String>,
    #[arg(short, long, hide = true, value_name = "POLICY")]
    ask_for_approval: Option<String>,
    #[arg(long, hide = true)]
    full_auto: bool,

    // With one.
    #[arg(long, hide = true)]
    oss: bool,
    #[arg(long, hide = true, value_name = "PROVIDER")]
    local_provider: Option<String>,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "", value_name = "NAME")]
    worktree: Option<String>,
    #[arg(long, hide = true)]
    search: bool,
    #[arg(long, hide = true, value_name = "ADDRESS")]
    remote: Option<String>,
}

impl CodexFlags {
    /// What to say of a flag that would mean something else than what happens here.
    pub(crate) fn refused(&self) -> Option<String> {
        let (flag, instead) = if self.oss || self.local_provider.is_some() {
            (
                "--oss",
                "name the server with -c model_providers.ID.base_url=URL -c model_provider=ID",
            )
        } else if self.worktree.is_some() {
            ("--worktree", "nothing is changed here, so leave it out")
        } else if self.search {
            ("--search", "there are no tools here, so leave it out")
        } else if self.remote.is_some() {
            (
                "--remote",
                "there is no app server here; name the server with -c model_provider=ID",
            )
        } else {
            return None;
        };
        Some(format!(
            "{flag} is a flag of OpenAI's Codex CLI that this chat client does not have: {instead}"
        ))
    }

    /// Takes those from before a subcommand that are of consequence.
    pub(super) fn or(&mut self, before: Self) {
        self.oss |= before.oss;
        self.search |= before.search;
        self.local_provider = self.local_provider.take().or(before.local_provider);
        self.worktree = self.worktree.take().or(before.worktree);
        self.remote = self.remote.take().or(before.remote);
    }
}
