"""Keeps half-open connections up until it is killed: flood.py PORT COUNT SLOW-READERS.

Of three connections one says nothing, one begins a head, and one sends 60 KB of a head that never
ends. What the other side closes is opened anew. Says how many are open, twice a second.
"""

import selectors
import socket
import sys
import time

PORT, COUNT, READERS = map(int, sys.argv[1:])
BEGUN = b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "
OPENINGS = [b"", BEGUN, BEGUN + b"a" * 60_000]
# More at once only fills the other side's backlog; more anew only measures this program.
MOST_PENDING, ANEW_PER_SECOND = 256, 500


def dial(number):
    peer = socket.socket()
    peer.setblocking(False)
    # One address has too few ports.
    peer.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
    peer.bind((f"127.0.0.{2 + number % 8}", 0))
    peer.connect_ex(("127.0.0.1", PORT))
    return peer


def slow_reader():
    peer = socket.socket()
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(2)
    try:
        peer.connect(("127.0.0.1", PORT))
        peer.sendall(b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 3\r\n\r\nbig")
    except OSError:
        pass
    return peer


def main():
    readers = [slow_reader() for _ in range(READERS)]  # kept, or they would hang up
    ready = selectors.DefaultSelector()
    to_send, pending, live, made = {}, set(), 0, 0
    allowance, last, told = float(COUNT), time.monotonic(), 0.0
    while True:
        now = time.monotonic()
        allowance, last = min(COUNT, allowance + (now - last) * ANEW_PER_SECOND), now
        while live + len(pending) < COUNT and len(pending) < MOST_PENDING and allowance >= 1:
            peer = dial(made)
            to_send[peer] = OPENINGS[made % 3]
            pending.add(peer)
            ready.register(peer, selectors.EVENT_READ | selectors.EVENT_WRITE)
            made, allowance = made + 1, allowance - 1
        for key, events in ready.select(0.05):
            peer, over = key.fileobj, False
            try:
                if events & selectors.EVENT_READ and not peer.recv(65536):
                    over = True
                elif events & selectors.EVENT_WRITE:
                    if peer in pending:
                        peer.getpeername()
                        pending.discard(peer)
                        live += 1
                    rest = to_send[peer]
                    to_send[peer] = rest = rest[peer.send(rest) :] if rest else rest
                    if not rest:
                        ready.modify(peer, selectors.EVENT_READ)
            except BlockingIOError:
                pass
            except OSError:
                over = True
            if over:
                live -= peer not in pending
                pending.discard(peer)
                del to_send[peer]
                ready.unregister(peer)
                peer.close()
        if now - told > 0.5:
            told = now
            print(live, made, flush=True)


main()
