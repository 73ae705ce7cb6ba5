//! HAProxy: nothing kept back, connections kept alive, a caller that leaves noticed, the key added,
//! other paths refused, and nothing more.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Post, Start};
use crate::process::raise_descriptor_limit;
use crate::upstream::KEY;

pub(super) fn start(program: &Path, post: &Post<'_>) -> Result<Start> {
    let file = post.dir.join("haproxy.cfg");
    std::fs::write(&file, configuration(post)).context("HAProxy's configuration")?;
    let mut command = Command::new(program);
    // -db: in the foreground.
    command.env_clear().arg("-db").arg("-f").arg(&file);
    Ok(Start {
        command,
        input: String::new(),
    })
}

pub(super) fn configuration(post: &Post<'_>) -> String {
    let Post {
        port,
        upstream,
        cores,
        ..
    } = post;
    let tls = post.authority.map_or_else(String::new, |authority| {
        let authority = authority.display();
        format!(" ssl verify required verifyhost localhost ca-file {authority} alpn h2,http/1.1")
    });
    // It insists on two descriptors for each, and a few.
    let connections = (raise_descriptor_limit() / 2)
        .saturating_sub(100)
        .min(20_000);
    format!(
        "global
  nbthread {cores}
  maxconn {connections}
defaults
  mode http
  option http-no-delay
  option abortonclose
  http-reuse always
  timeout connect 10s
  timeout client 10m
  timeout server 10m
frontend callers
  bind 127.0.0.1:{port} backlog 4096
  http-request deny deny_status 403 unless METH_POST {{ path /v1/responses }}
  http-request set-header Authorization \"Bearer {KEY}\"
  default_backend the_upstream
backend the_upstream
  server upstream {upstream}{tls}
"
    )
}
