"""Requests that are given up by the hundred: what still comes for them is counted as a fault of the connection."""

import random
import select
import time

from attacker import Attacker
from authority import Authority
from beside import Victims, steady
from caller import connect, request, reset
from proxy import Proxy
from servers import GATEWAYS, Gateway, Upstream, relay
from stage import ALICE, BOB

NAME = "aborted requests cut every caller of their connection"

MOST_LATE = 50
# There and back: 100 ms.
DELAY = 0.05


def attack(stage):
    authority = Authority(stage)
    issued = authority.issue("gateway", "IP:127.0.0.1")
    upstream = Upstream(stage)
    direct = Upstream(stage, issued, h2=True)
    env = {"SSL_CERT_FILE": authority.certificate}
    ports = [("HTTP/2 upstream", direct.port)]
    ports += [(name, Gateway(stage, name, issued, upstream.port).port) for name in GATEWAYS]
    for name, port in ports:
        far = relay(stage, port, DELAY)
        proxy = Proxy(stage, f"https://127.0.0.1:{far}/v1/responses", env=env).serving()
        for uid, whose, count in [(BOB, "another user's", 350), (ALICE, "the same user's", 1000)]:
            yield steady(lambda: beside(stage, proxy, f"{name}, {whose} {count}", uid, count))
        proxy.stop()


def beside(stage, proxy, what, uid, count):
    victims = Victims(stage, proxy.port, 2.5).begin()
    statuses = Attacker(stage, uid, abort, proxy.port, count).result()
    seen = victims.seen(what, MOST_LATE, usual=DELAY * 1000)
    seen.figure += f"; {statuses}"
    return seen


def abort(port, count, at_once=60, most=3.0):
    """Begins streams and resets their connections as soon as they have begun, or a little earlier."""
    what = request({"do": "stream", "events": 200, "every": 0.01, "id": "aborted"})
    open_ones, begun, ended = {}, 0, 0
    refused = {}
    deadline = time.monotonic() + most
    while (begun < count or open_ones) and time.monotonic() < deadline:
        while begun < count and len(open_ones) < at_once:
            peer = connect(port, 2)
            peer.sendall(what)
            # Some leave before their answer begins, most when it has.
            open_ones[peer] = time.monotonic() + random.choice([0.02, 0.09, 1, 1, 1])
            begun += 1
        ready = select.select(list(open_ones), [], [], 0.005)[0]
        now = time.monotonic()
        for peer in list(open_ones):
            if peer in ready:
                head = peer.recv(4096)
                if not head.startswith(b"HTTP/1.1 200"):
                    status = head[9:12].decode("latin1") or "none"
                    refused[status] = refused.get(status, 0) + 1
            if peer in ready or now > open_ones[peer]:
                del open_ones[peer]
                reset(peer)
                ended += 1
    for peer in open_ones:
        reset(peer)
    took = time.monotonic() - deadline + most
    others = "".join(f", {n} x {status}" for status, n in sorted(refused.items()))
    return f"{ended} given up in {took:.1f} s{others}"
