//! This project's proxy, and the one of the same name in OpenAI's Codex CLI: the flags that both
//! have, everything else as it comes.

use std::path::Path;
use std::process::Command;

use super::{Post, Start};
use crate::upstream::KEY;

/// With everything that reads answers and writes something for each request.
pub(super) fn start_with_logs(program: &Path, post: &Post<'_>) -> Start {
    let mut start = start(program, post);
    let metrics = format!("unix:{}", post.dir.join("metrics.sock").display());
    start
        .command
        .arg("--access-log")
        .arg(post.dir.join("access.log"))
        .args(["--metrics", &metrics]);
    start
}

pub(super) fn start(program: &Path, post: &Post<'_>) -> Start {
    let scheme = if post.authority.is_some() {
        "https"
    } else {
        "http"
    };
    let url = format!("{scheme}://127.0.0.1:{}/v1/responses", post.upstream);
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
