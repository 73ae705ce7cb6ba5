"""An upstream that does as each request says: upstream.py RECORD [--tls CERT KEY] [--h2] [--small] [--address A] [--port N].

Prints its port. What to do is in the request's body, as JSON, or in a field `X-Do` where the body is
not to be read first. Appends a line of JSON to RECORD for each request that begins, ends, or whose caller
goes away. HTTP/1.1; with --h2 over TLS also HTTP/2, as far as a client's well-formed requests need it.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import logging
import os
import re
import signal
import socket
import ssl
import sys
import time

from floods import flood
from h2_server import Http2

PUMPED_AT_ONCE = 256 * 1024


class Gone(Exception):
    """The other side is no longer there."""


class Record:
    def __init__(self, path):
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

    def add(self, what, do, **more):
        line = {"t": time.monotonic(), "what": what, "id": do.get("id"), **more}
        os.write(self.file, json.dumps(line).encode() + b"\n")


class Http1Answer:
    """One answer over HTTP/1.1, chunked."""

    def __init__(self, writer):
        self.writer, self.ended = writer, False

    async def begin(self, status=200, fields=()):
        lines = [f"HTTP/1.1 {status} OK", "Content-Type: text/event-stream", "Transfer-Encoding: chunked"]
        lines += [f"{name}: {value}" for name, value in fields]
        self.writer.write(("\r\n".join(lines) + "\r\n\r\n").encode("latin1"))

    async def data(self, piece):
        self.writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        await self.writer.drain()

    async def many(self, piece, count):
        """The same piece again and again, a chunk each."""
        chunk = b"%x\r\n%b\r\n" % (len(piece), piece)
        for _ in range(count // 100):
            self.writer.write(chunk * 100)
            await self.writer.drain()

    async def end(self):
        self.writer.write(b"0\r\n\r\n")
        await self.writer.drain()
        self.ended = True

    async def raw(self, data):
        self.writer.write(data)
        await self.writer.drain()


async def perform(do, credential, answer, accepts=""):
    """What a request asked for; over either protocol."""
    what = do.get("do", "small")
    if what == "small":
        await answer.begin()
        await answer.data(b"{}")
        await answer.end()
    elif what == "stream":
        await answer.begin()
        pad = "x" * do.get("pad", 0)
        for number in range(do.get("events", 10)):
            await answer.data(b'data: {"n":%d,"t":%d,"p":"%b"}\n\n' % (number, time.monotonic_ns(), pad.encode()))
            await asyncio.sleep(do.get("every", 0.02))
        await answer.end()
    elif what == "pieces":
        await answer.begin()
        for piece in do["pieces"]:
            await answer.data(piece.encode())
            await asyncio.sleep(do.get("gap", 0.002))
        if not do.get("cut"):
            await answer.end()
    elif what == "wait":
        if do.get("head"):
            await answer.begin()
            await answer.data(b"data: first\n\n")
        await asyncio.sleep(do.get("seconds", 120))
    elif what == "frames":
        await answer.begin()
        await answer.many(b"x" * do.get("size", 100), do["count"])
        await answer.end()
    elif what == "echo":
        text = ("authorization: " + credential).encode()
        fields = []
        if "gzip" in accepts and do.get("gzip"):
            text, fields = gzip.compress(text), [("Content-Encoding", "gzip")]
        await answer.begin(200, fields)
        await answer.data(text)
        await answer.end()
    elif what == "flood":
        await flood(do, answer)
    elif what == "raw":
        await answer.raw(do["bytes"].replace("@KEY@", credential.removeprefix("Bearer ")).encode("latin1"))
    # "close": nothing at all


class Http1:
    """A connection of HTTP/1.1."""

    def __init__(self, reader, writer, record):
        self.reader, self.writer, self.record = reader, writer, record

    async def serve(self):
        while True:
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin1")
            fields = dict(line.split(":", 1) for line in head.split("\r\n")[1:] if ":" in line)
            fields = {name.lower(): value.strip() for name, value in fields.items()}
            do = json.loads(fields["x-do"]) if "x-do" in fields else None
            if do and do["do"] == "stall":
                # The body is left unread, here and soon in the kernel.
                self.writer.transport.pause_reading()
                self.record.add("request", do)
                await asyncio.sleep(120)
                return
            try:
                body = await self.body(fields)
            except (asyncio.IncompleteReadError, OSError):
                self.record.add("gone", do or {}, during="upload")
                return
            if do is None:
                with contextlib.suppress(ValueError):
                    do = json.loads(body)
            do = do if isinstance(do, dict) else {}
            self.record.add("request", do, head=head if do.get("keep") else None, size=len(body))
            if not await self.answer(do, fields):
                return

    async def body(self, fields):
        if "chunked" in fields.get("transfer-encoding", ""):
            body = b""
            while size := int((await self.reader.readline()).split(b";")[0] or b"0", 16):
                body += (await self.reader.readexactly(size + 2))[:-2]
            await self.reader.readline()
            return body
        return await self.reader.readexactly(int(fields.get("content-length", 0)))

    async def answer(self, do, fields):
        """False when the connection is to end."""
        if do.get("do") == "pump":
            await self.pump(do)
            return False
        credential = fields.get("authorization", "")
        if do.get("do") == "ranges":
            return await self.ranges(credential, fields)
        answer = Http1Answer(self.writer)
        work = asyncio.ensure_future(perform(do, credential, answer, fields.get("accept-encoding", "")))
        # Nothing more comes from a client that waits, so what ends this read is its leaving.
        watch = asyncio.ensure_future(self.reader.read(1))
        try:
            await asyncio.wait({work, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                self.record.add("gone", do, during="answer")
                return False
            work.result()
            self.record.add("done", do)
        except OSError:
            self.record.add("gone", do, during="answer")
            return False
        finally:
            for task in (work, watch):
                task.cancel()
                with contextlib.suppress(BaseException):
                    await task
        return answer.ended

    async def ranges(self, credential, fields):
        text = credential.encode()
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", fields.get("range", ""))
        part, status, extra = text, "200 OK", ""
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2]), len(text) - 1)
            part, status = text[first : last + 1], "206 Partial Content"
            extra = f"Content-Range: bytes {first}-{last}/{len(text)}\r\n"
        self.writer.write(
            f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n{extra}Content-Length: {len(part)}\r\n\r\n".encode() + part
        )
        await self.writer.drain()
        return True

    async def pump(self, do):
        """Endless heads or chunk sizes, by a process of its own: this one has others to serve."""
        unit = do["unit"].encode("latin1")
        block = unit * max(1, PUMPED_AT_ONCE // len(unit))
        opening = do.get("opening", "").encode("latin1")
        peer = self.writer.get_extra_info("socket")
        if self.writer.get_extra_info("ssl_object"):
            # Its keys are here, so it is done here, a piece at a time.
            self.writer.write(opening)
            deadline = time.monotonic() + do.get("seconds", 3)
            while time.monotonic() < deadline:
                self.writer.write(block)
                await self.writer.drain()
                await asyncio.sleep(0)
            return
        child = os.fork()
        if child == 0:
            try:
                os.setpriority(os.PRIO_PROCESS, 0, 0)
                deadline = time.monotonic() + do.get("seconds", 3)
                os.set_blocking(peer.fileno(), True)
                view = memoryview(opening)
                while view:
                    view = view[os.write(peer.fileno(), view) :]
                while time.monotonic() < deadline:
                    view = memoryview(block)
                    while view and time.monotonic() < deadline:
                        view = view[os.write(peer.fileno(), view) :]
            except OSError:
                pass
            os._exit(0)
        deadline = time.monotonic() + do.get("seconds", 3) + 2
        while time.monotonic() < deadline and os.waitpid(child, os.WNOHANG)[0] == 0:
            await asyncio.sleep(0.05)
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("record")
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--h2", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--address", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    # That callers break off is what this is for.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    record = Record(args.record)
    context = None
    if args.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*args.tls)
        context.set_alpn_protocols(["h2", "http/1.1"] if args.h2 else ["http/1.1"])

    async def serve(reader, writer):
        with contextlib.suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            if args.small:
                # Little of what is not read waits in the kernel.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            secured = writer.get_extra_info("ssl_object")
            if secured and secured.selected_alpn_protocol() == "h2":
                await Http2(reader, writer, record, perform, takes_bodies=not args.small).serve()
            else:
                await Http1(reader, writer, record).serve()
        with contextlib.suppress(OSError):
            writer.close()

    server = await asyncio.start_server(serve, args.address, args.port, backlog=4096, ssl=context, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(main()))
