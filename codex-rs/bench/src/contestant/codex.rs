//! This project's proxy, and the one of the same name in OpenAI's Codex CLI: everything that is not said here is as it
//! comes.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Post, Start};
use crate::upstream::KEY;

/// With everything that reads answers and writes something for each request.
pub(super) fn start_with_logs(program: &Path, post: &Post<'_>) -> Start {
    let mut start = start_ours(program, post);
    let metrics = format!("unix:{}", post.dir.join("metrics.sock").display());
    start
        .command
        .arg("--access-log")
        .arg(post.dir.join("access.log"))
        .args(["--metrics", &metrics]);
    start
}

/// How many users the policy has, with numbers from the first one on.
const USERS: u32 = 1_000;
const FIRST_USER: u32 = 100_000;

/// With a policy, of which one of a thousand tables is for the load, with limits that are never spent, and a ledger.
///
/// # Errors
///
/// When the policy cannot be written.
pub(super) fn start_with_policy(program: &Path, post: &Post<'_>) -> Result<Start> {
    let mut policy = String::new();
    let own = rustix::process::getuid().as_raw();
    for user in (FIRST_USER..FIRST_USER + USERS - 1).chain([own]) {
        policy += &format!(
            "[user.{user}]\nmodels = [\"gpt-5*\", \"o4-mini\"]\n\
             [[user.{user}.limits]]\nrequests = 1_000_000_000\nper = \"day\"\n\
             [[user.{user}.limits]]\ntokens = 1_000_000_000_000\nper = \"month\"\n"
        );
    }
    policy += "[total]\n[[total.limits]]\nusd = 1_000_000\nper = \"day\"\n";
    let file = post.dir.join("policy.toml");
    std::fs::write(&file, policy).context("cannot write the policy")?;
    let mut start = start_ours(program, post);
    start.command.arg("--policy").arg(&file);
    start.command.arg("--ledger").arg(post.dir.join("ledger"));
    Ok(start)
}

/// Without a protection that only builds with `--cfg codex_bench` can go without.
pub(super) fn start_without(protection: &str, program: &Path, post: &Post<'_>) -> Start {
    let mut start = start_ours(program, post);
    start.command.env("CODEX_BENCH_WITHOUT", protection);
    start
}

pub(super) fn start_without_sandbox(program: &Path, post: &Post<'_>) -> Start {
    let mut start = start_ours(program, post);
    start.command.arg("--sandbox=off");
    start
}

/// With the connections of S3, all of one user, who has half of all unless told otherwise.
pub(super) fn start_ours(program: &Path, post: &Post<'_>) -> Start {
    let mut start = start(program, post);
    start.command.args(["--max-connections-per-user", "8192"]);
    start
}

/// With the flags that both have.
pub(super) fn start(program: &Path, post: &Post<'_>) -> Start {
    let scheme = if post.authority.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://{}/v1/responses", post.upstream);
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("HOME", post.dir)
        .arg("responses-api-proxy")
        .args(["--port", &post.port.to_string(), "--upstream-url", &url]);
    if let Some(authority) = post.authority {
        command.env("SSL_CERT_FILE", authority);
    }
    Start {
        command,
        input: format!("{KEY}\n"),
    }
}
