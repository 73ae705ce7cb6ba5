//! nginx: nothing kept back, connections kept alive, the key added, other paths refused, and nothing
//! more.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Post, Start};
use crate::upstream::KEY;

pub(super) fn start(program: &Path, post: &Post<'_>) -> Result<Start> {
    let file = post.dir.join("nginx.conf");
    std::fs::write(&file, configuration(post)).context("nginx's configuration")?;
    let mut command = Command::new(program);
    command.env_clear();
    command
        .arg("-p")
        .arg(post.dir)
        .arg("-c")
        .arg(&file)
        .args(["-e", "stderr"]);
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
    let dir = post.dir.display();
    let scheme = if post.authority.is_some() {
        "https"
    } else {
        "http"
    };
    let tls = post.authority.map_or_else(String::new, |authority| {
        format!(
            "
      proxy_ssl_verify on;
      proxy_ssl_trusted_certificate {};
      proxy_ssl_name localhost;
      proxy_ssl_server_name on;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;",
            authority.display()
        )
    });
    format!(
        "daemon off;
pid {dir}/nginx.pid;
error_log stderr error;
worker_processes {cores};
worker_rlimit_nofile 65536;
events {{
  worker_connections 12288;
}}
http {{
  access_log off;
  client_body_temp_path {dir}/body;
  proxy_temp_path {dir}/proxy;
  fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi;
  scgi_temp_path {dir}/scgi;
  upstream the_upstream {{
    server {upstream};
    keepalive 64;
    keepalive_requests 1000000;
  }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    keepalive_requests 1000000;
    client_max_body_size 64m;
    tcp_nodelay on;
    location = /v1/responses {{
      limit_except POST {{ deny all; }}
      proxy_pass {scheme}://the_upstream;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_set_header Authorization \"Bearer {KEY}\";
      proxy_buffering off;
      proxy_request_buffering off;
      proxy_read_timeout 10m;{tls}
    }}
    location / {{
      return 403;
    }}
  }}
}}
"
    )
}
