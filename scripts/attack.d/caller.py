"""A caller of the proxy, by hand: what it sends are bytes, what it gets is looked at whole."""

import contextlib
import json
import socket
import struct
import time


class Answer:
    """status 0: none came. whole: it ended as its framing says."""

    def __init__(self, status, head, body, whole, raw, pieces):
        self.status, self.head, self.body, self.whole, self.raw, self.pieces = status, head, body, whole, raw, pieces

    def code(self):
        """The `code` of an error of the proxy's own."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            return json.loads(self.body)["error"]["code"]
        return None


def head(length, extra=(), path="/v1/responses", method="POST"):
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    if length is not None:
        lines.append(f"Content-Length: {length}")
    lines += [f"{name}: {value}" for name, value in extra]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin1")


def request(what, extra=(), path="/v1/responses"):
    body = what if isinstance(what, bytes) else json.dumps(what).encode()
    return head(len(body), extra, path) + body


def connect(port, timeout=10, address="127.0.0.1", small=False):
    peer = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    if small:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    peer.settimeout(timeout)
    try:
        peer.connect((address, port))
    except OSError:
        peer.close()
        raise
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return peer


def reset(peer):
    """Closes with a reset, whatever is unread."""
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


class Reader:
    """Reads answers from one connection. In linear time, however small the chunks are."""

    def __init__(self, peer):
        self.peer, self.buffer, self.taken = peer, bytearray(), 0

    def _more(self):
        piece = self.peer.recv(262144)
        if not piece:
            raise EOFError
        del self.buffer[: self.taken]
        self.taken = 0
        self.buffer += piece

    def _take(self, length):
        found = bytes(self.buffer[self.taken : self.taken + length])
        self.taken += length
        return found

    def _until(self, mark):
        while (at := self.buffer.find(mark, self.taken)) < 0:
            self._more()
        return self._take(at + len(mark) - self.taken)[: -len(mark)]

    def _left(self):
        return len(self.buffer) - self.taken

    def _exactly(self, length):
        while self._left() < length:
            self._more()
        return self._take(length)

    def answer(self, on_piece=None):
        """One answer; `on_piece(bytes)` is told of each chunk of its body as it arrives."""
        status, lines, body, pieces, raw, whole = 0, b"", bytearray(), [], b"", False
        try:
            while True:
                lines = self._until(b"\r\n\r\n")
                raw += lines + b"\r\n\r\n"
                status = int(lines[9:12])
                if status >= 200:
                    break
            fields = dict(field.lower().split(b":", 1) for field in lines.split(b"\r\n")[1:] if b":" in field)
            if b"chunked" in fields.get(b"transfer-encoding", b""):
                while size := int(self._until(b"\r\n").split(b";")[0], 16):
                    piece = self._exactly(size)
                    self._exactly(2)
                    body += piece
                    pieces.append((time.monotonic(), size))
                    if on_piece:
                        on_piece(piece)
                self._until(b"\r\n")
                whole = True
            elif b"content-length" in fields:
                # Kept as it arrives: a cut answer is to be seen as far as it got.
                left = int(fields[b"content-length"])
                while left:
                    if not self._left():
                        self._more()
                    piece = self._exactly(min(left, self._left()))
                    left -= len(piece)
                    body += piece
                    pieces.append((time.monotonic(), len(piece)))
                whole = True
            else:
                with contextlib.suppress(EOFError):
                    while True:
                        self._more()
                body += self._take(self._left())
                whole = True
        except (EOFError, OSError, ValueError):
            body += self._take(self._left())
        body, rest = bytes(body), bytes(self.buffer[self.taken :])
        return Answer(status, lines, body, whole, raw + body + rest, pieces)


def ask(port, what, extra=(), timeout=10, address="127.0.0.1", path="/v1/responses"):
    """One request on a connection of its own."""
    try:
        with connect(port, timeout, address) as peer:
            peer.sendall(request(what, extra, path))
            return Reader(peer).answer()
    except OSError:
        return Answer(0, b"", b"", False, b"", [])
