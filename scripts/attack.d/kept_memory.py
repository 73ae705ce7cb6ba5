"""Callers that are slow on purpose: what is kept for each, and what is left of it when they have gone."""

import json
import select
import time

from attacker import Attacker
from authority import Authority
from beside import Victims
from caller import connect, head, request
from flooded_answers import flooded
from proxy import Proxy
from servers import Upstream
from stage import BOB, CannotRun, Seen

NAME = "slow uploads and slow readers keep memory"

CONNECTIONS = 250
# KiB for each connection: docs/operating.md has what it is made of.
MOST_KEPT = 64
# What may be left of it all, in KiB: heaps are given back in pieces.
MOST_LEFT = 8 * 1024
MOST_LATE = 50
SECONDS = 2.5

CHUNK = b"64\r\n" + b"x" * 100 + b"\r\n"


def attack(stage):
    authority = Authority(stage)
    issued = authority.issue("upstream", "IP:127.0.0.1")
    env = {"SSL_CERT_FILE": authority.certificate}
    upstreams = [("HTTP/1.1", Upstream(stage, small=True)), ("HTTP/2", Upstream(stage, issued, h2=True, small=True))]
    for name, upstream in upstreams:
        for what, work in FORMS:
            # Over HTTP/2 the upstream itself, one process, puts one answer behind the other.
            most_late = MOST_LATE if name == "HTTP/1.1" else 1000
            seen = list(one(stage, upstream, env, f"{what}, {name}", work, most_late))
            if getattr(seen[-1], "only_late", False):
                # As in `steady`: the machine may be late by itself.
                seen = list(one(stage, upstream, env, f"{what}, {name}", work, most_late))
            yield from seen
    yield from flooded(stage, issued, env)


def one(stage, upstream, env, what, work, most_late):
    # The limits are not what is tried here: all of them are let in.
    proxy = Proxy(stage, upstream.url, "--max-connections-per-user", "4000", env=env).serving()
    # What the first requests cost once and for all is not counted.
    warm = Victims(stage, proxy.port, 0.4).begin()
    warm.seen("warm", MOST_LATE)
    before = proxy.status("VmRSS")
    victims = Victims(stage, proxy.port, SECONDS).begin()
    attacker = Attacker(stage, BOB, work, proxy.port)
    most, deadline = 0, time.monotonic() + SECONDS + 0.3
    while time.monotonic() < deadline:
        most = max(most, proxy.status("VmRSS"))
        time.sleep(0.05)
    seen = victims.seen(f"victims beside {what}", most_late)
    open_ones = attacker.result()
    if open_ones < CONNECTIONS // 2:
        raise CannotRun(f"only {open_ones} connections can be held open: {what}")
    each = (most - before) / open_ones
    yield Seen(f"{open_ones} {what}", f"{each:.0f} KiB for each, {(most - before) / 1024:.0f} MiB in all", each > MOST_KEPT)
    left, deadline = most - before, time.monotonic() + 6
    while left > MOST_LEFT and time.monotonic() < deadline:
        time.sleep(0.1)
        left = proxy.status("VmRSS") - before
    yield Seen(f"left of it, {what}", f"{left / 1024:.1f} MiB", left > MOST_LEFT)
    yield seen
    proxy.stop()


def hold(port, opening, more, small=False):
    """Opens them all, sends what is taken, reads nothing, and stays. Returns how many were open at the end."""
    peers = {}
    deadline = time.monotonic() + SECONDS - 0.5
    for _ in range(CONNECTIONS):
        try:
            peer = connect(port, 3, small=small)
            peer.sendall(opening)
            peer.setblocking(False)
            peers[peer] = 0
        except OSError:
            break
    while time.monotonic() < deadline:
        ready = select.select([], [peer for peer, sent in peers.items() if sent < 1_000_000], [], 0.05)[1] if more else []
        for peer in ready:
            try:
                peers[peer] += peer.send(more[peers[peer] % len(CHUNK) :])
            except OSError:
                peers[peer] = 1 << 30
        if not ready:
            time.sleep(0.05)
    return sum(sent < 1 << 30 for sent in peers.values())


def uploads(port):
    """Bodies in chunks of 100 bytes, to an upstream that takes none."""
    do = json.dumps({"do": "stall"})
    return hold(port, head(None, [("Transfer-Encoding", "chunked"), ("X-Do", do)]), CHUNK * 600)


def readers(port):
    """Answers in frames of 100 bytes, which are not read."""
    return hold(port, request({"do": "frames", "count": 20_000, "size": 100}), b"", small=True)


def behind(port):
    """125 KB behind a request that takes long: a head that does not end."""
    return hold(port, request({"do": "wait"}) + b"POST /v1/responses HTTP/1.1\r\nX-Long: " + b"a" * 40_000, CHUNK.replace(b"\r\n", b"xx") * 600)


FORMS = [("slow uploads", uploads), ("callers that do not read", readers), ("heads behind a request", behind)]
