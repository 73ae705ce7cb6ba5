"""A caller that has left with something unread behind its request: its request runs on, for whom?"""

import concurrent.futures
import json
import statistics
import time

from attacker import Attacker
from beside import Victims, steady
from caller import ask, connect, head, reset
from proxy import Proxy
from servers import Upstream
from stage import BOB, CannotRun, Seen

NAME = "a caller that has left is not noticed"

# Milliseconds until the upstream sees that nobody waits any more.
AT_ONCE = 100
GIVEN_UP = 3.0
MOST_LATE = 50


def chunked(body, behind):
    return head(None, [("Transfer-Encoding", "chunked")]) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) + behind


def counted(body, behind):
    return head(len(body)) + body + behind


FORMS = [
    ("one byte behind a chunked body", chunked, b"x"),
    ("a request behind a chunked body", chunked, head(0)),
    ("70 KB behind a body", counted, b"P" * 70_000),
    ("400 KB of requests behind a body", counted, head(0) * 4_000),
    ("nothing behind it", counted, b""),
]


def attack(stage):
    upstream = Upstream(stage)
    proxy = Proxy(stage, upstream.url).serving()
    cases = [
        (f"{what}, {how}{' in mid-answer' if begun else ''}", form, behind, begun, close)
        for what, form, behind in FORMS
        for begun in (False, True)
        for close, how in ((lambda peer: peer.close(), "closes"), (reset, "resets"))
    ]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        yield from pool.map(lambda case: noticed(upstream, proxy, *case), cases)
    proxy.stop()
    yield from crowd(stage, upstream)
    yield from past_the_limit(stage, upstream)


def noticed(upstream, proxy, what, form, behind, begun, close):
    """How long until the upstream is told, of three tries."""
    waits = []
    for number in range(3):
        name = f"{what} {number}"
        body = json.dumps({"do": "wait", "head": begun, "id": name}).encode()
        peer = connect(proxy.port)
        peer.settimeout(1)
        try:
            peer.sendall(form(body, behind))
        except TimeoutError:
            pass  # it does not read so far ahead
        deadline = time.monotonic() + 5
        while not upstream.record("request", name):
            if time.monotonic() > deadline:
                raise CannotRun(f"no request arrives: {what}")
            time.sleep(0.005)
        if begun:
            peer.recv(4096)
        left = time.monotonic()
        close(peer)
        while not (gone := upstream.record("gone", name)) and time.monotonic() < left + GIVEN_UP:
            time.sleep(0.01)
        if not gone:
            return Seen(what, f"not cancelled in {GIVEN_UP:.0f} s", True)
        waits.append((gone[0]["t"] - left) * 1000)
    middle = statistics.median(waits)
    return Seen(what, f"cancelled after {middle:.1f} ms", middle > AT_ONCE)


def leave(port, count, name):
    """So many requests by one who does not wait for the answers."""
    body = json.dumps({"do": "wait", "id": name}).encode()
    sent = 0
    for _ in range(count):
        try:
            peer = connect(port, 2)
            peer.sendall(chunked(body, b"x"))
            peer.close()
            sent += 1
        except OSError:
            pass
    return sent


def crowd(stage, upstream):
    """Many of them, where there is room for 500."""
    proxy = Proxy(stage, upstream.url, descriptors=1024).serving()

    def beside():
        victims = Victims(stage, proxy.port, 2.0).begin()
        Attacker(stage, BOB, leave, proxy.port, 600, "crowd").result()
        seen = victims.seen("victims beside 600 who leave", MOST_LATE)
        return seen

    yield steady(beside)
    time.sleep(0.5)
    running = upstream.in_flight("crowd")
    yield Seen("requests still running for them, half a second later", running, running > 10)
    # The places that the victims had.
    Attacker(stage, BOB, leave, proxy.port, 100, "crowd").result()
    answers = [ask(proxy.port, {"do": "small"}, timeout=5) for _ in range(10)]
    refused = [answer.status for answer in answers if answer.status != 200]
    yield Seen("then ten requests of others", f"{10 - len(refused)} answered{f', others {refused}' if refused else ''}", refused)
    proxy.stop()


def past_the_limit(stage, upstream):
    """A user is counted, also when its connection is closed before the kernel is asked whose it is."""
    proxy = Proxy(stage, upstream.url, "--max-connections-per-user", "10").serving()
    Attacker(stage, BOB, leave, proxy.port, 500, "limit").result()
    time.sleep(0.5)
    running = upstream.in_flight("limit")
    began = len(upstream.record("request", "limit"))
    yield Seen("in flight with --max-connections-per-user 10, after 500", f"{running} ({began} had begun)", running > 10)
    proxy.stop()
