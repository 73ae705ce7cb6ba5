"""A stranger who may not call asks without end and reads none of the refusals."""

import select
import time

from attacker import Attacker
from beside import Victims, steady
from caller import ask, connect, head
from proxy import Proxy
from servers import Upstream
from stage import ALICE, STRANGER, URGENT, Seen

NAME = "denied callers take the room of allowed ones"

MOST_LATE = 50
CONNECTIONS = 600
# Room for 600 connections: (1224 descriptors - 24) / 2.
DESCRIPTORS = 1224


def attack(stage):
    upstream = Upstream(stage)
    for what, args in [
        ("--allow-user", ["--allow-user", str(ALICE)]),
        ("--allow-user, --max-connections 100", ["--allow-user", str(ALICE), "--max-connections", "100"]),
    ]:
        proxy = Proxy(stage, upstream.url, *args, descriptors=DESCRIPTORS).serving()
        yield steady(lambda: beside(stage, proxy, what))
        proxy.stop()
    # Nobody is named, but each may have his share: one user must not have all of it.
    proxy = Proxy(stage, upstream.url, descriptors=DESCRIPTORS).serving()
    yield steady(lambda: beside(stage, proxy, "no flag, a busy user", work=hold))
    proxy.stop()


def beside(stage, proxy, what, work=None):
    victims = Victims(stage, proxy.port, 4.0).begin()
    stranger = Attacker(stage, STRANGER, work or pipeline, proxy.port)
    # While he is at it a named user comes again and again.
    caller = Attacker(stage, ALICE, come, proxy.port, 3.0, nice=URGENT)
    statuses, slowest = caller.result()
    seen = victims.seen(what, MOST_LATE)
    good = statuses.get(200, 0)
    seen.figure += f"; of {sum(statuses.values())} requests of the named user's {good} served, the slowest after {slowest * 1000:.0f} ms"
    if good < sum(statuses.values()):
        others = ", ".join(f"{n} x {status}" for status, n in statuses.items() if status != 200)
        seen.figure += f" ({others})"
        seen.broken = True
        seen.only_late = False
    seen.figure += f"; {stranger.result()} connections of the stranger's"
    return seen


def come(port, seconds):
    """A request every 20 ms on a connection of its own, from half a second on: {status: how often}, the slowest."""
    statuses, slowest = {}, 0
    time.sleep(0.5)
    deadline = time.monotonic() + seconds - 0.5
    while time.monotonic() < deadline:
        began = time.monotonic()
        status = ask(port, {"do": "small"}, timeout=3).status
        slowest = max(slowest, time.monotonic() - began)
        statuses[status] = statuses.get(status, 0) + 1
        time.sleep(0.02)
    return statuses, slowest


def pipeline(port):
    """Requests without end on 600 connections, none of whose answers are read; what is closed comes again."""
    return crowd(port, head(0) * 200)


def hold(port):
    """Requests that are answered slowly, on 600 connections."""
    body = b'{"do": "wait", "seconds": 20}'
    return crowd(port, head(len(body)) + body, again=False)


def crowd(port, what, again=True):
    peers, most = [], 0
    deadline = time.monotonic() + 3.5
    while time.monotonic() < deadline:
        for _ in range(40):
            if len(peers) >= CONNECTIONS:
                break
            try:
                peer = connect(port, 0.5, small=True)
                peer.setblocking(False)
                peer.send(what)
                peers.append(peer)
            except OSError:
                break
        most = max(most, len(peers))
        for peer in list(peers) if again else []:
            try:
                peer.send(what)
            except BlockingIOError:
                pass
            except OSError:
                peers.remove(peer)
                peer.close()
        select.select([], [], [], 0.02)
    return most
