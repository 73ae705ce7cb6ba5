"""A network that is far away: relay.py PORT SECONDS. Passes connections on to PORT of 127.0.0.1, each byte
after so many seconds, in both directions. Prints its port.

Each connection has a process of its own, so that a busy one does not hold up another.
"""

import collections
import contextlib
import os
import select
import signal
import socket
import sys
import time

PORT, DELAY = int(sys.argv[1]), float(sys.argv[2])


def carry(near):
    far = socket.create_connection(("127.0.0.1", PORT))
    ways = []
    for source, target in ((near, far), (far, near)):
        target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        ways.append((source, target, collections.deque()))
    reading = {near, far}
    while True:
        now = time.monotonic()
        wait = None
        for source, target, pieces in ways:
            while pieces and pieces[0][0] <= now:
                piece = pieces.popleft()[1]
                if not piece:
                    return
                target.sendall(piece)
            if pieces:
                wait = min(wait or 10, pieces[0][0] - now)
        for source in select.select(list(reading), [], [], wait)[0]:
            piece = source.recv(262_144)
            if not piece:
                reading.discard(source)
            ways[0 if source is near else 1][2].append((time.monotonic() + DELAY, piece))


def main():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    parent = os.getpid()
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(listener.getsockname()[1], flush=True)
        while True:
            near = listener.accept()[0]
            if os.fork() == 0:
                listener.close()
                # Its parent's end is its own; asked now and then, where nothing else happens.
                signal.signal(signal.SIGALRM, lambda *_: os.getppid() == parent or os._exit(0))
                signal.setitimer(signal.ITIMER_REAL, 1, 1)
                with contextlib.suppress(OSError):
                    carry(near)
                os._exit(0)
            near.close()


main()
