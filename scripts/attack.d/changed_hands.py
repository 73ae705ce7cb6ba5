"""A connection's addresses change hands between its acceptance and the kernel's answer about them.

The stranger connects, sends his request and leaves with a reset; a user who may call, an agent that calls
often, gets the same port of ours for its next connection. The kernel is asked about addresses, and tells
of that one. strace makes the moment long enough to be met every time: it holds up the proxy's question
for 300 ms. Without it the moment lasts microseconds, and is met by trying often.
"""

import os
import select
import socket
import subprocess
import time

from attacker import Attacker
from caller import ask, connect, request, reset
from proxy import Proxy
from servers import Upstream
from stage import ALICE, STRANGER, CannotRun, Seen, needed

NAME = "a connection changes hands while the kernel is asked"

TRIES = 3
HELD_UP = 0.3


def attack(stage):
    upstream = Upstream(stage)
    needed("strace")
    yield one(stage, upstream, "--allow-user", ["--allow-user", str(ALICE)])
    yield counted(stage, upstream)


def hold_up(stage, proxy):
    """Each question to the kernel takes 300 ms from now on."""
    strace = stage.spawn(
        [needed("strace"), "-f", "-q", "-o", stage.path("strace.out"), "-e", "trace=sendto,sendmsg", "-e",
         f"inject=sendto,sendmsg:delay_enter={int(HELD_UP * 1e6)}", "-p", str(proxy.pid)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 5
    while proxy.status("TracerPid") == 0:
        if time.monotonic() > deadline or strace.poll() is not None:
            raise CannotRun("strace does not trace the proxy")
        time.sleep(0.01)
    return strace


def visit(port, name, ready):
    """The stranger: his request, and his leaving while he is asked about; tells his port."""
    peer = connect(port, 2)
    peer.sendall(request({"do": "small", "id": name}))
    mine = peer.getsockname()[1]
    time.sleep(HELD_UP / 3)
    reset(peer)
    os.write(ready, mine.to_bytes(2, "big"))
    return mine


def follow(port, mine, seconds):
    """A user who may call, with the port that the stranger had."""
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    deadline = time.monotonic() + HELD_UP / 3
    while True:
        try:
            peer.bind(("127.0.0.1", mine))
            break
        except OSError:
            if time.monotonic() > deadline:
                return False  # his end of the connection is still there
            time.sleep(0.005)
    peer.settimeout(2)
    peer.connect(("127.0.0.1", port))
    time.sleep(seconds)
    return True


def one(stage, upstream, what, flags):
    proxy = Proxy(stage, upstream.url, *flags).serving()
    # First without delay: who may and who may not.
    if Attacker(stage, STRANGER, status, proxy.port).result() != 403 or Attacker(stage, ALICE, status, proxy.port).result() != 200:
        raise CannotRun("--allow-user does not do what it says")
    strace = hold_up(stage, proxy)
    passed, tries = 0, 0
    for number in range(3 * TRIES):
        name = f"{what} {number}"
        # A connection to the upstream that waits: his request is to be off before his end is noticed.
        if Attacker(stage, ALICE, status, proxy.port).result() != 200:
            raise CannotRun("a named user is not served under strace")
        begun, ready = os.pipe()
        Attacker(stage, STRANGER, visit, proxy.port, name, ready, keep=[ready])
        os.close(ready)
        if not select.select([begun], [], [], 3)[0]:
            raise CannotRun("the stranger does not get to the proxy")
        mine = int.from_bytes(os.read(begun, 2), "big")
        os.close(begun)
        if not Attacker(stage, ALICE, follow, proxy.port, mine, 1.2).result():
            continue
        tries += 1
        passed += bool(upstream.record("request", name))
        if tries == TRIES:
            break
    strace.terminate()
    strace.wait()
    still = Attacker(stage, ALICE, status, proxy.port).result()
    seen = Seen(
        f"{what}, the question held up for {HELD_UP * 1000:.0f} ms",
        f"the stranger's request goes upstream {passed} of {tries} times; the named user then has {still}",
        passed or still != 200,
    )
    proxy.stop()
    return seen


def counted(stage, upstream):
    """Nor does he call at the cost of another's share, where users are counted."""
    proxy = Proxy(stage, upstream.url, "--allow-user", str(ALICE), "--max-connections-per-user", "2").serving()
    name = "no delay"
    deadline, tries = time.monotonic() + 1, 0
    while time.monotonic() < deadline and tries < 400:
        tries += 1
        Attacker(stage, STRANGER, dash, proxy.port, name).result()
    passed = len(upstream.record("request", name))
    seen = Seen("without a delay, closed and reset at once", f"{passed} of {tries * 20} go upstream", passed)
    proxy.stop()
    return seen


def dash(port, name):
    for number in range(20):
        peer = connect(port, 2)
        peer.sendall(request({"do": "small", "id": name}))
        reset(peer) if number % 2 else peer.close()
    return True


def status(port):
    return ask(port, {"do": "small"}, timeout=5).status
