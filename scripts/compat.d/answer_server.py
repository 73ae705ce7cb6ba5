"""A server that answers as it is scripted: the same bytes for every client, over HTTP/1.1 on loopback."""

import socket
import socketserver
import struct
import threading


class Reply:
    """What is sent for one request: a status, fields, a body, and how the connection ends."""

    def __init__(self, status, fields, body, cut=None):
        self.status, self.fields, self.body, self.cut = status, fields, body, cut

    def head(self):
        fields = {"connection": "close", **self.fields}
        if self.cut != "clean":
            fields["content-length"] = len(self.body) + (10 if self.cut else 0)
        lines = [f"HTTP/1.1 {self.status} Scripted", *(f"{name}: {value}" for name, value in fields.items())]
        return "\r\n".join([*lines, "", ""]).encode()


class AnswerServer:
    """Serves the replies of one script in turn, the last one for ever, and counts the requests."""

    def __init__(self):
        self._lock, self._replies, self.requests = threading.Lock(), [], 0
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                if read_request(self.request):
                    outer.answer(self.request)

        socketserver.ThreadingTCPServer.allow_reuse_address = True
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def script(self, replies):
        with self._lock:
            self._replies, self.requests = list(replies), 0

    def answer(self, connection):
        with self._lock:
            reply = self._replies[min(self.requests, len(self._replies) - 1)]
            self.requests += 1
        if reply is None:
            return
        try:
            connection.sendall(reply.head() + reply.body)
            if reply.cut == "reset":
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except OSError:
            pass  # it has left


def read_request(connection):
    """A whole request; False if there was none."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return False
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = connection.recv(65536)
        if not piece:
            return False
        body += piece
    return True
