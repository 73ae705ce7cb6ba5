"""An upstream that sends what no window counts, on answers that nobody reads: what is kept of it."""

import time

from attacker import Attacker
from beside import Victims
from caller import Reader, connect, request
from floods import ANSWERED, FLOODS
from proxy import Proxy
from servers import Upstream
from stage import BOB, Seen

UNREAD = 20
FIRST = 1_000_000
BYTES = 30_000_000
# The upstream, one process, has to read an answer to each of these.
BYTES_OF_ANSWERED = 300_000
SECONDS = 2.5
# What all answers may keep beyond their 64 KiB, and 8,192 unread frames each (docs/operating.md), of which each
# costs h2 a quarter of a KiB and its buffer up to half as much again, in KiB.
MOST_KEPT = 32 * 1024 + UNREAD * 3 * 1024
MOST_LATE = 1000


def flooded(stage, issued, env):
    upstream = Upstream(stage, issued, h2=True)
    for what in FLOODS:
        proxy = Proxy(stage, upstream.url, env=env).serving()
        before = proxy.status("VmRSS")
        victims = Victims(stage, proxy.port, SECONDS).begin()
        attacker = Attacker(stage, BOB, unread, proxy.port, what)
        most, deadline = 0, time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            most = max(most, proxy.status("VmRSS"))
            time.sleep(0.02)
        seen = victims.seen(f"victims beside {what}", MOST_LATE)
        attacker.result()
        kept = most - before
        yield Seen(f"kept of {UNREAD} answers with {what}", f"{kept / 1024:.0f} MiB", kept > MOST_KEPT)
        yield seen
        proxy.stop()


def unread(port, what):
    """An answer that is read fast, and then those that are not."""
    with connect(port) as peer:
        peer.sendall(request({"do": "frames", "count": 500, "size": 16_000}))
        if not Reader(peer).answer().whole:
            raise AssertionError("an answer that is read was cut")
    do = {"do": "flood", "with": what, "first": FIRST, "bytes": BYTES_OF_ANSWERED if what in ANSWERED else BYTES}
    peers = []
    for _ in range(UNREAD):
        peer = connect(port, small=True)
        peer.sendall(request(do))
        peers.append(peer)
    time.sleep(SECONDS - 0.5)
    return len(peers)
