"""Measures a proxy under a flood of connections: bench.py OURS [PEER]. Writes Markdown."""

import collections
import pathlib
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).parent
FLOOD, READERS, REQUESTS = 10_000, 50, 500
# Everything has an end, whatever the other side does (seconds).
ONE, MANY, FILL, RECOVERY = 5.0, 60.0, 30.0, 30.0
# Between two requests, so that they see more of a flood than one moment.
PAUSE = 0.02
REQUEST = (
    b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    b"Content-Length: 14\r\nConnection: close\r\n\r\n" + b'{"input":"hi"}'
)


class Proxy:
    def __init__(self, program, upstream, descriptors=None):
        self.home = tempfile.TemporaryDirectory()
        info = pathlib.Path(self.home.name, "info")

        def limit():
            if descriptors:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [program, "responses-api-proxy", "--server-info", str(info), "--upstream-url", f"http://127.0.0.1:{upstream}/v1/responses"],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=open(pathlib.Path(self.home.name, "stderr"), "wb"),
            env={"HOME": self.home.name, "CODEX_HOME": self.home.name, "PATH": "/usr/bin:/bin"},
            preexec_fn=limit,
        )
        self.process.stdin.write(b"sk-test-bench-flood-not-a-key\n")
        self.process.stdin.close()
        deadline = time.monotonic() + 10
        while not (info.exists() and info.read_text().strip()):
            if time.monotonic() > deadline or self.process.poll() is not None:
                sys.exit(f"{program} does not start")
            time.sleep(0.02)
        self.port = int(info.read_text().split('"port":')[1].split(",")[0].strip(" }\n"))

    def status(self):
        """RSS and its peak in KiB, threads; None when it is dead."""
        try:
            text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        except OSError:
            return None
        fields = dict(line.split(":", 1) for line in text.splitlines())
        if "VmRSS" not in fields:
            return None
        return {name: int(fields[name].split()[0]) for name in ("VmRSS", "VmHWM", "Threads")}

    def last_words(self):
        """How it ended by itself, and what it said."""
        said = pathlib.Path(self.home.name, "stderr").read_text(errors="replace").strip().splitlines() or [""]
        return f"dead, exit {self.process.poll()}: {said[-1][:80]}"

    def end(self):
        self.process.kill()
        self.process.wait()
        self.home.cleanup()


def ask(port):
    """Seconds from connect to the end of the answer; None if it is no answer."""
    began = time.perf_counter()
    try:
        with socket.create_connection(("127.0.0.1", port), ONE) as peer:
            peer.sendall(REQUEST)
            got = b""
            while True:
                peer.settimeout(max(0.001, ONE - (time.perf_counter() - began)))
                piece = peer.recv(65536)
                if not piece:
                    break
                got += piece
    except OSError:
        return None
    return time.perf_counter() - began if got.startswith(b"HTTP/1.1 200 ") and got.endswith(b"}") else None


def ask_many(port, count):
    took, deadline = [], time.monotonic() + MANY
    while len(took) < count and time.monotonic() < deadline:
        took.append(ask(port))
        time.sleep(PAUSE)
    return took


def latency(took):
    """p50, p99, max, answered: as table cells."""
    good = sorted(one * 1000 for one in took if one is not None)
    # Fewer than wanted are tried where each takes its whole time.
    answered = f"{len(good)} of {len(took)}"
    if not good:
        return ["none answered", "none answered", "none answered", answered]
    # What was not answered counts as slower than all that was.
    ranked = good + [float("inf")] * (len(took) - len(good))
    at = lambda share: ranked[min(len(ranked) - 1, int(len(ranked) * share))]
    show = lambda ms: f"{ms:.1f} ms" if ms < float("inf") else f"none in {ONE:.0f} s"
    return [show(at(0.5)), show(at(0.99)), show(ranked[-1]), answered]


def mib(kib):
    return f"{kib / 1024:.1f} MiB"


def under_flood(program, upstream, cells):
    proxy = Proxy(program, upstream)
    ask_many(proxy.port, 20)
    idle = ask_many(proxy.port, REQUESTS)
    cells["idle: p50"], cells["idle: p99"], cells["idle: max"], _ = latency(idle)
    status = proxy.status()
    cells["idle: RSS, threads"] = f"{mib(status['VmRSS'])}, {status['Threads']}"
    good = sorted(one for one in idle if one)
    usual = max(0.010, 2 * good[int(len(good) * 0.99)])

    flood = subprocess.Popen([sys.executable, HERE / "flood.py", str(proxy.port), str(FLOOD), str(READERS)], stdout=subprocess.PIPE, text=True)
    state = {"live": [0], "made": 0, "threads": 0, "rss": 0}

    def listen():
        for line in flood.stdout:
            live, state["made"] = map(int, line.split())
            state["live"].append(live)

    over = threading.Event()

    def watch():
        while not over.wait(0.1):
            if status := proxy.status():
                state["threads"] = max(state["threads"], status["Threads"])
                state["rss"] = max(state["rss"], status["VmHWM"])

    threading.Thread(target=listen, daemon=True).start()
    threading.Thread(target=watch, daemon=True).start()
    deadline = time.monotonic() + FILL
    while state["made"] < FLOOD and time.monotonic() < deadline:
        time.sleep(0.05)
    state["live"] = state["live"][-1:]
    took = ask_many(proxy.port, REQUESTS)
    live = state["live"]
    cells["flood: open at once, of 10,000"] = f"{min(live)} to {max(live)}"
    cells["flood: connections made, in all"] = str(state["made"])
    cells["flood: p50"], cells["flood: p99"], cells["flood: max"], cells["flood: answered"] = latency(took)
    cells["flood: RSS, threads, at most"] = f"{mib(state['rss'])}, {state['threads']}"
    cells["flood: the proxy then"] = "runs" if proxy.process.poll() is None else proxy.last_words()
    over.set()

    flood.send_signal(signal.SIGKILL)
    flood.wait()
    ended = time.monotonic()
    in_a_row, since = 0, None
    while in_a_row < 10 and time.monotonic() < ended + RECOVERY and proxy.process.poll() is None:
        began = time.monotonic()
        one = ask(proxy.port)
        fine = one is not None and one <= usual
        since = (since if in_a_row else began) if fine else None
        in_a_row = in_a_row + 1 if fine else 0
    cells["after: as fast as before"] = f"after {1000 * (since - ended):.0f} ms" if in_a_row == 10 else f"not within {RECOVERY:.0f} s"
    time.sleep(max(0.0, ended + 5 - time.monotonic()))
    status = proxy.status()
    cells["5 s after: RSS, threads"] = f"{mib(status['VmRSS'])}, {status['Threads']}" if status else "dead"
    proxy.end()


def few_descriptors(program, upstream, cells):
    proxy = Proxy(program, upstream, descriptors=64)
    idle = []
    for _ in range(100):
        try:
            idle.append(socket.create_connection(("127.0.0.1", proxy.port), 1))
        except OSError:
            pass
    time.sleep(0.5)
    # The peer may let each wait; twenty say as much as a hundred.
    took = ask_many(proxy.port, 20)
    cells["64 descriptors, 100 idle: p50"], _, cells["64 descriptors, 100 idle: max"], cells["64 descriptors, 100 idle: answered"] = latency(took)
    for one in idle:
        one.close()
    time.sleep(0.5)
    after = latency(ask_many(proxy.port, 20))[3] + " answered"
    cells["and when they are gone"] = after if proxy.process.poll() is None else proxy.last_words()
    proxy.end()


def main():
    upstream = subprocess.Popen([sys.executable, HERE / "upstream.py"], stdout=subprocess.PIPE, text=True)
    try:
        port = int(upstream.stdout.readline())
        columns = []
        for program in sys.argv[1:]:
            cells = collections.OrderedDict()
            under_flood(program, port, cells)
            few_descriptors(program, port, cells)
            columns.append(cells)
    finally:
        upstream.kill()
    names = ["this proxy"]
    for peer in sys.argv[2:]:
        # codex-cli 0.171.0
        version = subprocess.run([peer, "--version"], capture_output=True, text=True, check=True).stdout
        names.append(f"Codex CLI {version.split()[-1]}")
    print(f"| | {' | '.join(names)} |")
    print("|---" * (len(names) + 1) + "|")
    for row in columns[0]:
        print(f"| {row} | {' | '.join(cells[row] for cells in columns)} |")


main()
