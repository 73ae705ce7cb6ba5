"""The upstream is a gateway on this host, in clear; a stranger listens where the proxy may look for it."""

import os
import select
import socket
import time

from attacker import Attacker
from caller import ask
from proxy import Proxy, key_in
from servers import URL, Upstream
from stage import SERVICE, STRANGER, CannotRun, Seen, free_port

NAME = "the key goes to a stranger who listens where the gateway should"


def listen(address, port, seconds, ready):
    """The stranger: takes whatever connects to him, answers it, and keeps what it sent."""
    listener = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address, port))
    except OSError as error:
        os.write(ready, b"!")
        return f"cannot listen: {error.strerror}".encode(), 0
    listener.listen(64)
    os.write(ready, b"!")
    got, connections, peers = b"", 0, []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for one in select.select([listener, *peers], [], [], 0.05)[0]:
            if one is listener:
                peers.append(listener.accept()[0])
                connections += 1
                continue
            try:
                piece = one.recv(65536)
            except OSError:
                piece = b""
            got += piece
            if not piece:
                peers.remove(one)
                one.close()
            elif b"\r\n\r\n" in got:
                try:
                    one.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                except OSError:
                    pass
    return got, connections


class Stranger:
    def __init__(self, stage, address, port, seconds, uid=STRANGER):
        begun, ready = os.pipe()
        self.work = Attacker(stage, uid, listen, address, port, seconds, ready, keep=[ready])
        os.close(ready)
        if not select.select([begun], [], [], 5)[0]:
            raise CannotRun("the stranger does not listen")
        os.read(begun, 1)
        os.close(begun)

    def got(self):
        return self.work.result(20)


def fill(port, seconds, ready):
    """Connects until nothing more is accepted, and holds on."""
    peers, deadline = [], time.monotonic() + seconds
    while time.monotonic() < deadline:
        peer = socket.socket()
        peer.settimeout(0.3)
        try:
            peer.connect(("127.0.0.1", port))
            peers.append(peer)
        except OSError:
            peer.close()
            os.write(ready, b"!")
            time.sleep(max(0, deadline - time.monotonic()))
    return len(peers)


def attack(stage):
    yield full_queue(stage)
    for uid in (SERVICE, 0):
        for host, address in [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("localhost", "::1"), ("[::1]", "::1")]:
            yield down(stage, host, address, uid)
    yield replaced(stage)
    yield from honest(stage)


def verdict(what, proxy, stranger, answer):
    got, connections = stranger.got()
    length = key_in(got, proxy.key)
    figure = f"{length} of {len(proxy.key)} characters of the key reach the stranger ({connections} connections"
    figure += f", {len(got)} bytes; the caller has {answer.status}{' ' + answer.code() if answer.code() else ''})"
    return Seen(what, figure, length > 0)


def full_queue(stage):
    """The gateway is there, and busy: its queue is filled by the stranger, who listens on ::1."""
    port = free_port(both=True)
    gateway = socket.socket()
    gateway.bind(("127.0.0.1", port))
    gateway.listen(1)
    proxy = Proxy(stage, f"http://localhost:{port}{URL}").serving()
    stranger = Stranger(stage, "::1", port, 5)
    begun, ready = os.pipe()
    Attacker(stage, STRANGER, fill, port, 5, ready, keep=[ready])
    os.close(ready)
    if not select.select([begun], [], [], 3)[0]:
        raise CannotRun("the gateway's queue cannot be filled")
    os.close(begun)
    answer = ask(proxy.port, {"do": "small"}, timeout=3.5)
    seen = verdict("http://localhost, its queue filled, the stranger on ::1", proxy, stranger, answer)
    gateway.close()
    proxy.stop()
    return seen


def down(stage, host, address, uid):
    port = free_port(both=True)
    proxy = Proxy(stage, f"http://{host}:{port}{URL}", uid=uid)
    if not proxy.settle():
        return Seen(f"http://{host}, nobody there", f"refused at the start: {proxy.log().strip()[:160]}", False)
    stranger = Stranger(stage, address, port, 0.8)
    answer = ask(proxy.port, {"do": "small"}, timeout=3)
    whose = "root" if uid == 0 else "a user of its own"
    seen = verdict(f"http://{host}, the gateway down, the stranger on {address}, the proxy {whose}", proxy, stranger, answer)
    proxy.stop()
    return seen


def replaced(stage):
    """The gateway was there, and has gone between two requests."""
    upstream = Upstream(stage)
    proxy = Proxy(stage, upstream.url).serving()
    if ask(proxy.port, {"do": "small"}).status != 200:
        raise CannotRun("root's gateway does not get the first request")
    upstream.process.kill()
    upstream.process.wait()
    stranger = Stranger(stage, "127.0.0.1", upstream.port, 0.8)
    ask(proxy.port, {"do": "small"}, timeout=3)
    answer = ask(proxy.port, {"do": "small"}, timeout=3)
    seen = verdict("http://127.0.0.1, the stranger after the gateway", proxy, stranger, answer)
    proxy.stop()
    return seen


def honest(stage):
    """What must go on working: a gateway of root's, and one of the proxy's own user."""
    upstream = Upstream(stage)
    for host in ("127.0.0.1", "localhost"):
        proxy = Proxy(stage, f"http://{host}:{upstream.port}{URL}").serving()
        status = ask(proxy.port, {"do": "small"}).status
        yield Seen(f"http://{host}, a gateway of root's", f"answered {status}", status != 200)
        proxy.stop()
    port = free_port()
    proxy = Proxy(stage, f"http://127.0.0.1:{port}{URL}").serving()
    own = Stranger(stage, "127.0.0.1", port, 1.0, uid=SERVICE)
    status = ask(proxy.port, {"do": "small"}, timeout=3).status
    own.got()
    yield Seen("http://127.0.0.1, a gateway of the proxy's own user", f"answered {status}", status != 200)
    proxy.stop()
