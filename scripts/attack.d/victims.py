"""Callers with streams of their own, who have done nothing."""

import json
import os
import re
import selectors
import socket
import time

EVENT = re.compile(rb'"t":(\d+)')
TIMEOUT = 8.0


class Victim:
    def __init__(self, port, body, events):
        self.events, self.seen, self.tail, self.status, self.end = events, 0, b"", 0, "open"
        self.late = []
        self.peer = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.peer.sendall(
            b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
        )
        self.peer.setblocking(False)

    def read(self):
        now = time.monotonic_ns()
        try:
            piece = self.peer.recv(262144)
        except BlockingIOError:
            return
        except OSError:
            self.end = "reset"
            return
        if not piece:
            self.end = "cut"
            return
        text = self.tail + piece
        if not self.status and len(text) > 12:
            self.status = int(text[9:12])
        last = 0
        for event in EVENT.finditer(text):
            # A number at the very end may go on in the next piece.
            if event.end() == len(text):
                break
            self.late.append((now - int(event[1])) / 1e6)
            self.seen += 1
            last = event.end()
        self.tail = text[max(last, len(text) - 64) :]
        if self.tail.endswith(b"0\r\n\r\n") and self.seen == self.events or self.status >= 400:
            self.end = "whole" if self.status == 200 else "refused"


def watch(port, count, events, every, begun):
    """Has so many streams, and writes to the descriptor `begun` when all have had their first event.

    Returns what became of each, and how late their events were, in milliseconds between the upstream's
    writing and our reading.
    """
    body = json.dumps({"do": "stream", "events": events, "every": every, "id": "victim"}).encode()
    ready = selectors.DefaultSelector()
    victims = []
    for _ in range(count):
        victim = Victim(port, body, events)
        victims.append(victim)
        ready.register(victim.peer, selectors.EVENT_READ, victim)
    told = False
    deadline = time.monotonic() + events * every * 1.5 + TIMEOUT
    while any(one.end == "open" for one in victims) and time.monotonic() < deadline:
        for entry, _ in ready.select(0.1):
            entry.data.read()
            if entry.data.end != "open":
                ready.unregister(entry.fileobj)
        if not told and all(one.seen or one.end != "open" for one in victims):
            told = True
            os.write(begun, b"!")
    late = sorted(figure for one in victims for figure in one.late)
    return {
        "ends": [one.end if one.end != "open" else "hangs" for one in victims],
        "statuses": [one.status for one in victims],
        "p99": late[int(len(late) * 0.99)] if late else None,
        "worst": late[-1] if late else None,
    }
