"""What stands behind the proxy: the scripted upstream, and real gateways in front of it."""

import json
import os
import select
import socket
import subprocess
import time

from stage import URGENT, CannotRun, await_true, free_port, needed

URL = "/v1/responses"


def port_of(process, what):
    if not select.select([process.stdout], [], [], 10)[0]:
        raise CannotRun(f"{what} does not start")
    line = process.stdout.readline()
    if not line.strip().isdigit():
        raise CannotRun(f"{what} does not start")
    return int(line)


class Upstream:
    """The scripted upstream, in a process of its own."""

    def __init__(self, stage, issued=None, h2=False, port=0, small=False):
        self.record_path = stage.path(f"record-{time.monotonic_ns()}")
        args = [self.record_path, "--port", port]
        if issued:
            args += ["--tls", issued.certificate, issued.key]
        if h2:
            args.append("--h2")
        if small:
            args.append("--small")
        self.process = stage.python("upstream.py", *args, nice=URGENT, stdout=subprocess.PIPE, descriptors=16_000)
        self.port = port_of(self.process, "the upstream")
        self.scheme = "https" if issued else "http"
        self.url = f"{self.scheme}://127.0.0.1:{self.port}{URL}"

    def record(self, what=None, id=None):
        """The lines of its record, of one kind and of one id where these are given."""
        if not os.path.exists(self.record_path):
            return []
        with open(self.record_path, encoding="utf-8") as record:
            lines = [json.loads(line) for line in record if line.endswith("\n")]
        return [line for line in lines if what in (None, line["what"]) and id in (None, line["id"])]

    def in_flight(self, id=None):
        began = len(self.record("request", id))
        return began - len(self.record("done", id)) - len(self.record("gone", id))


def relay(stage, port, seconds):
    """A way to `port` that takes so long in each direction; the port of its near end."""
    process = stage.python("relay.py", port, seconds, nice=URGENT, stdout=subprocess.PIPE, descriptors=16_000)
    return port_of(process, "the relay")


NGINX = """
daemon off;
master_process off;
worker_processes 1;
pid {tmp}/nginx.pid;
error_log {tmp}/nginx.log info;
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {tmp}/nginx-body;
    proxy_temp_path {tmp}/nginx-proxy;
    fastcgi_temp_path {tmp}/nginx-fastcgi;
    uwsgi_temp_path {tmp}/nginx-uwsgi;
    scgi_temp_path {tmp}/nginx-scgi;
    client_max_body_size 64m;
    server {{
        listen 127.0.0.1:{port} ssl http2;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        location / {{
            proxy_pass http://127.0.0.1:{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 60s;
        }}
        location = /echo {{
            gzip on;
            gzip_types *;
            gzip_min_length 1;
            gzip_proxied any;
            default_type text/plain;
            return 200 "authorization: $http_authorization\\n";
        }}
    }}
}}
"""

HAPROXY = """
global
    maxconn 4096
    nbthread 1
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option http-no-delay
frontend in
    bind 127.0.0.1:{port} ssl crt {both} alpn h2,http/1.1
    default_backend out
backend out
    http-reuse never
    server upstream 127.0.0.1:{upstream} maxconn 4096
"""

CADDY = """
{{
    admin off
    auto_https off
    storage file_system {tmp}/caddy
    log {{
        output file {tmp}/caddy.log
    }}
}}
https://127.0.0.1:{port} {{
    bind 127.0.0.1
    tls {certificate} {key}
    reverse_proxy 127.0.0.1:{upstream} {{
        flush_interval -1
    }}
}}
"""

GATEWAYS = ("nginx", "HAProxy", "Caddy")


class Gateway:
    """One of the real ones, speaking HTTP/2 over TLS, in front of the scripted upstream."""

    def __init__(self, stage, name, issued, upstream_port):
        self.name, self.port = name, free_port()
        program, template = {
            "nginx": (needed("nginx"), NGINX),
            "HAProxy": (needed("haproxy"), HAPROXY),
            "Caddy": (needed("caddy"), CADDY),
        }[name]
        config = stage.write(f"{name}.conf", template.format(
            tmp=stage.tmp, port=self.port, upstream=upstream_port,
            certificate=issued.certificate, key=issued.key, both=issued.both,
        ))
        argv = {
            "nginx": [program, "-p", stage.tmp, "-c", config, "-e", stage.path("nginx.log")],
            "HAProxy": [program, "-db", "-f", config],
            "Caddy": [program, "run", "--adapter", "caddyfile", "--config", config],
        }[name]
        self.log_path = stage.path(f"{name}.out")
        with open(self.log_path, "wb") as log:
            self.process = stage.spawn(argv, nice=URGENT, libraries=True, stdout=log, stderr=log, descriptors=16_000)
        await_true(f"{name} listens", 10, self._listens)
        self.url = f"https://127.0.0.1:{self.port}{URL}"

    def _listens(self):
        if self.process.poll() is not None:
            with open(self.log_path, encoding="utf-8", errors="replace") as log:
                raise CannotRun(f"{self.name} does not start: {log.read().strip()[-300:]}")
        with socket.socket() as peer:
            return peer.connect_ex(("127.0.0.1", self.port)) == 0
