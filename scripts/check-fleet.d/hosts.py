"""The programs: a server that is far away, a mock upstream, proxies, and one who asks them."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
KEY = "sk-test-0123456789abcdefghijklmnopqrstuvwxyz"
FAR = "10.199.0.2"
PORT = 6379
BODY = b'{"model":"gpt-5","input":"hi","max_output_tokens":9}'
REQUEST = (
    b"POST /v1/responses HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(BODY), BODY)
)


def until(what, seconds=60):
    """Waits until it is so; what it then is."""
    begun = time.monotonic()
    while not (found := what()):
        if time.monotonic() - begun > seconds:
            sys.exit("check-fleet: waited in vain")
        time.sleep(0.02)
    return found


class World:
    """All of them, ended together."""

    def __init__(self, programs, directory):
        self.programs, self.directory = pathlib.Path(programs), pathlib.Path(directory)
        self.processes = []
        subprocess.run(("ip", "link", "set", "lo", "up"), check=True)
        self.link = self.start(
            sys.executable, ROOT / "scripts/bench.d/far_link.py", "50", "0", stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        if self.link.stdout.readline() != b"ready\n":
            sys.exit("check-fleet: no network that is far away")
        self.server = None
        self.serve()
        info = self.directory / "mock.json"
        self.start(self.programs / "mock-upstream", "--info", info)
        self.upstream = until(lambda: info.exists() and info.read_text()) and json.loads(info.read_text())["port"]

    def start(self, *command, **others):
        process = subprocess.Popen([str(word) for word in command], **others)
        self.processes.append(process)
        return process

    def serve(self):
        """The server, with what it has on its disk."""
        program = shutil.which("redis-server") or shutil.which("valkey-server")
        self.server = self.start(
            "nsenter", f"--net=/proc/{self.link.pid}/ns/net", program, "--bind", FAR, "--port", PORT, "--protected-mode",
            "no", "--dir", self.directory, "--unixsocket", self.socket, "--save", "", "--appendonly", "yes",
            "--appendfsync", "always", stdout=subprocess.DEVNULL,
        )
        until(lambda: self.ask_server("PING").startswith("+PONG"))

    @property
    def socket(self):
        return self.directory / "socket"

    @property
    def near(self):
        return f"redis+unix:{self.socket}"

    @property
    def far(self):
        return f"redis://{FAR}:{PORT}"

    def ask_server(self, command):
        try:
            with socket.socket(socket.AF_UNIX) as stream:
                stream.connect(str(self.socket))
                stream.sendall(f"{command}\r\nQUIT\r\n".encode())
                return stream.makefile("rb").read().decode()
        except OSError:
            return ""

    def cut(self, is_cut):
        """Nothing passes between the namespaces any more, or again."""
        self.link.send_signal(signal.SIGSTOP if is_cut else signal.SIGCONT)

    def proxy(self, *args):
        return Proxy(self, args)

    def shown(self, *args):
        """`budget show`: a line for each limit."""
        command = [self.programs / "codex-responses-api-proxy", "budget", "show", "--ledger", self.near, *args]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def end(self):
        for process in reversed(self.processes):
            process.kill()
            process.wait()


class Proxy:
    """One host."""

    def __init__(self, world, args):
        self.info = world.directory / f"proxy-{len(world.processes)}.json"
        self.log = open(self.info.with_suffix(".log"), "w+", encoding="utf-8")
        self.process = world.start(
            world.programs / "codex-responses-api-proxy", "--server-info", self.info, "--upstream-url",
            f"http://127.0.0.1:{world.upstream}/v1/responses", *args, stdin=subprocess.PIPE, stderr=self.log,
        )
        self.process.stdin.write(f"{KEY}\n".encode())
        self.process.stdin.close()
        self.port = json.loads(until(lambda: self.info.exists() and self.info.read_text()))["port"]
        self.caller = Caller(self.port)

    def said(self):
        self.log.flush()
        return pathlib.Path(self.log.name).read_text(encoding="utf-8")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Caller:
    """One connection, which is made anew where it has ended."""

    def __init__(self, port):
        self.port, self.stream = port, None

    def ask(self):
        """The status of one request."""
        for _ in range(2):
            if self.stream is None:
                self.stream = socket.create_connection(("127.0.0.1", self.port))
                self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                return self.exchange()
            except (ConnectionError, ValueError):
                self.stream.close()
                self.stream = None
        sys.exit("check-fleet: a proxy does not answer")

    def exchange(self):
        self.stream.sendall(REQUEST)
        data = b""
        while True:
            piece = self.stream.recv(65536)
            if not piece:
                raise ValueError
            data += piece
            head, end, body = data.partition(b"\r\n\r\n")
            if not end:
                continue
            lower = head.lower()
            if b"transfer-encoding: chunked" in lower:
                is_whole = body.endswith(b"0\r\n\r\n")
            else:
                length = int(lower.split(b"content-length:")[1].split(b"\r\n")[0])
                is_whole = len(body) >= length
            if is_whole:
                if b"connection: close" in lower:
                    self.stream.close()
                    self.stream = None
                return int(head.split(b" ", 2)[1])
