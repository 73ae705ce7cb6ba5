"""Standard error goes to something that nobody reads."""

import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

from caller import ask
from proxy import READY, Proxy
from servers import Upstream
from stage import CannotRun, Seen

NAME = "a terminal that nobody reads stops the proxy"

# Lines of the proxy's, each provoked by an upstream that hangs up: far more than any buffer takes.
LINES = 700
# Gives each request a line of its own, where equal ones would be joined otherwise.
A_LINE_EACH = ("--log-format", "text")
COUNTED = re.compile(r"\d+ [^\n]*(drop|lost|left out|not written|missing|skipp|suppress|omit|discard)|(drop|lost|left out|not written|missing|skipp|suppress|omit|discard)[^\n]*\d+", re.I)


def terminal():
    return pty.openpty()


def pipe():
    return os.pipe()


def sockets():
    ours, theirs = socket.socketpair()
    return ours.detach(), theirs.detach()


def attack(stage):
    upstream = Upstream(stage)
    for what, make in [("a terminal", terminal), ("a pipe", pipe), ("a socket", sockets)]:
        yield from one(stage, upstream, what, make)
    yield from frozen(stage, upstream)


def a_line_each(stage):
    said = subprocess.run([*stage.proxy_command(False), "--help"], capture_output=True, text=True, timeout=10)
    return A_LINE_EACH if A_LINE_EACH[0] in said.stdout else ()


def drain(descriptor, seconds, until=None):
    got, deadline = b"", time.monotonic() + seconds
    while time.monotonic() < deadline and not (until and until.search(got.decode("utf-8", "replace"))):
        if select.select([descriptor], [], [], 0.1)[0]:
            try:
                piece = os.read(descriptor, 65536)
            except OSError:
                break
            if not piece:
                break
            got += piece
    return got.decode("utf-8", "replace")


def start(stage, upstream, theirs, ours):
    proxy = Proxy(stage, upstream.url, *a_line_each(stage), stderr=theirs)
    ready = READY.search(drain(ours, 10, READY))
    if not ready:
        raise CannotRun("the proxy does not start")
    proxy.port = int(ready[1])
    return proxy


def provoke(proxy, lines):
    """Asks for so many lines; returns after how many it no longer answered, or None."""
    for number in range(lines):
        if ask(proxy.port, {"do": "close"}, timeout=2).status == 0:
            return number
    return None


def one(stage, upstream, what, make):
    ours, theirs = make()
    proxy = start(stage, upstream, theirs, ours)
    os.close(theirs)
    silent = provoke(proxy, LINES)
    served = ask(proxy.port, {"do": "small"}, timeout=2).status
    figure = f"serves after {LINES} lines" if silent is None and served == 200 else f"dead after {silent} lines"
    yield Seen(f"{what} nobody reads", figure, silent is not None or served != 200)
    if silent is None:
        # Read now, and told of what is missing with the next lines.
        first = drain(ours, 0.5)
        told = ""
        for _ in range(4):
            ask(proxy.port, {"do": "close"}, timeout=2)
            told += drain(ours, 0.3)
        lines = first.count("upstream_closed") + told.count("upstream_closed")
        counted = COUNTED.search(first + told)
        is_lost = lines < LINES
        figure = f"{lines} lines of {LINES + 4} arrived, " + (f"and it says: {counted[0].strip()[:120]}" if counted else "no line says how many did not")
        yield Seen(f"{what} read again", figure, is_lost and not counted)
        provoke(proxy, LINES)
    status = proxy.end(5)
    yield Seen(f"{what} nobody reads, SIGTERM", "no effect in 5 s" if status is None else f"ends with {status}", status != 0)
    os.close(ours)


def frozen(stage, upstream):
    """A log file on a file system that is frozen, as for a snapshot."""
    image, place = stage.path("disk.img"), stage.directory("disk")
    script = (
        'truncate -s 16M "$0" && mkfs.ext4 -q "$0" && mount -o loop "$0" "$1" && touch "$1/log" && '
        'chmod 666 "$1/log" && echo mounted && read line && fsfreeze -f "$1" && echo frozen && '
        'read line; fsfreeze -u "$1"; echo thawed; read line; umount "$1"'
    )
    holder = stage.spawn(
        ["unshare", "--mount", "sh", "-c", script, image, place], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )

    def say(line=b"\n"):
        holder.stdin.write(line)
        holder.stdin.flush()
        return holder.stdout.readline().strip()

    if holder.stdout.readline().strip() != b"mounted":
        yield Seen("a file on a frozen file system", "not tried: no loop device or no ext4 here", False)
        return
    stage.undo(thaw, holder)
    log = f"/proc/{holder.pid}/root{place}/log"
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND)
    proxy = Proxy(stage, upstream.url, *a_line_each(stage), stderr=descriptor)
    os.close(descriptor)
    with open(log, encoding="utf-8") as written:
        deadline = time.monotonic() + 10
        while not (ready := READY.search(written.read())):
            written.seek(0)
            if time.monotonic() > deadline:
                raise CannotRun("the proxy does not start")
            time.sleep(0.01)
    proxy.port = int(ready[1])
    if say() != b"frozen":
        yield Seen("a file on a frozen file system", "not tried: fsfreeze does not work here", False)
        return
    silent = provoke(proxy, 20)
    served = ask(proxy.port, {"do": "small"}, timeout=2).status
    figure = "serves after 20 lines" if silent is None and served == 200 else f"dead after {silent} lines"
    yield Seen("a file on a frozen file system", figure, silent is not None or served != 200)
    os.kill(proxy.pid, signal.SIGTERM)
    deadline = time.monotonic() + 3
    # While a line of it hangs in the kernel the process cannot be gone, but it can have ended its service.
    while time.monotonic() < deadline and ask(proxy.port, {"do": "small"}, timeout=0.5).status:
        time.sleep(0.05)
    listening = ask(proxy.port, {"do": "small"}, timeout=0.5).status
    yield Seen("a file on a frozen file system, SIGTERM", "serves on" if listening else "stops serving", listening)
    thaw(holder)


def thaw(holder):
    if holder.poll() is None:
        try:
            holder.stdin.write(b"\n\n\n")
            holder.stdin.flush()
            holder.wait(5)
        except Exception:
            pass
