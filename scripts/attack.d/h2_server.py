"""As much of an HTTP/2 server as an upstream of well-formed requests needs (RFC 9113), and its ways to be rude.

Request heads are not decoded: what to do is in the bodies.
"""

import asyncio
import contextlib
import json
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
FRAME = 16_384


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def literal(name, value):
    """A field that no table has and none keeps (RFC 7541, section 6.2.2)."""

    def text(of):
        of = of.encode("latin1")
        assert len(of) < 127, "longer than one octet of length"
        return bytes([len(of)]) + of

    return b"\x00" + text(name) + text(value)


class Http2Answer:
    def __init__(self, connection, stream):
        self.connection, self.stream, self.ended = connection, stream, False

    async def begin(self, status=200, fields=()):
        # 8: ":status: 200" of the static table (RFC 7541, appendix A).
        block = b"\x88" if status == 200 else b"\x08" + bytes([3]) + str(status).encode()
        block += b"".join(literal(name.lower(), value) for name, value in fields)
        await self.connection.send(frame(HEADERS, END_HEADERS, self.stream, block))

    async def data(self, piece):
        for at in range(0, len(piece), FRAME):
            part = piece[at : at + FRAME]
            await self.connection.window(self.stream, len(part))
            await self.connection.send(frame(DATA, 0, self.stream, part))

    async def many(self, piece, count):
        """The same piece again and again, a DATA frame each."""
        one = frame(DATA, 0, self.stream, piece)
        at_once = max(1, min(100, 60_000 // len(piece)))
        for _ in range(count // at_once):
            await self.connection.window(self.stream, len(piece) * at_once)
            await self.connection.send(one * at_once)

    async def end(self):
        await self.connection.send(frame(DATA, END_STREAM, self.stream))
        self.ended = True

    async def raw(self, data):
        await self.connection.send(data)


class Http2:
    """A connection. `perform(do, credential, answer)` makes the answers."""

    def __init__(self, reader, writer, record, perform, takes_bodies=True):
        self.takes_bodies = takes_bodies
        self.reader, self.writer, self.record, self.perform = reader, writer, record, perform
        self.bodies, self.work = {}, {}
        self.initial, self.room = 65_535, {0: 65_535}
        self.more_room = asyncio.Condition()

    async def send(self, data):
        self.writer.write(data)
        await self.writer.drain()

    async def window(self, stream, length):
        """Waits until the client takes so many bytes."""
        async with self.more_room:
            await self.more_room.wait_for(lambda: min(self.room[0], self.room.get(stream, 0)) >= length)
            self.room[0] -= length
            self.room[stream] -= length

    async def serve(self):
        preface = await self.reader.readexactly(24)
        if preface != b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":
            return
        window = 1 << 20 if self.takes_bodies else 65_535
        settings = struct.pack("!HIHI", MAX_CONCURRENT_STREAMS, 100, INITIAL_WINDOW_SIZE, window)
        await self.send(frame(SETTINGS, 0, 0, settings) + frame(WINDOW_UPDATE, 0, 0, struct.pack("!I", 1 << 30)))
        try:
            while True:
                head = await self.reader.readexactly(9)
                length = int.from_bytes(head[:3], "big")
                payload = await self.reader.readexactly(length)
                await self.take(head[3], head[4], int.from_bytes(head[5:], "big") & 0x7FFF_FFFF, payload)
        finally:
            for stream in list(self.work):
                self.leave(stream)

    async def take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack_from("!HI", payload, at)
                if name == INITIAL_WINDOW_SIZE:
                    self.initial = value
            await self.send(frame(SETTINGS, ACK, 0))
        elif kind == PING and not flags & ACK:
            await self.send(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            async with self.more_room:
                self.room[stream] = self.room.get(stream, self.initial) + int.from_bytes(payload, "big")
                self.more_room.notify_all()
        elif kind == HEADERS:
            self.bodies[stream] = b""
            self.room.setdefault(stream, self.initial)
        elif kind == DATA and stream in self.bodies:
            self.bodies[stream] += payload[1 : len(payload) - payload[0]] if flags & PADDED else payload
        elif kind == RST_STREAM:
            self.leave(stream)
        if kind in (HEADERS, DATA) and flags & END_STREAM and stream in self.bodies:
            self.begin(stream)

    def begin(self, stream):
        do = {}
        with contextlib.suppress(ValueError):
            do = json.loads(self.bodies.pop(stream))
        do = do if isinstance(do, dict) else {}
        self.record.add("request", do)
        self.work[stream] = do, asyncio.ensure_future(self.answer(stream, do))

    async def answer(self, stream, do):
        if do.get("do") == "goaway":
            # ENHANCE_YOUR_CALM, with a text of the upstream's choice (RFC 9113, section 6.8).
            text = do["text"].encode("latin1")
            await self.send(frame(GOAWAY, 0, 0, struct.pack("!II", 0, 11) + text))
            self.writer.close()
            return
        with contextlib.suppress(OSError):
            await self.perform(do, "", Http2Answer(self, stream))
            self.record.add("done", do)
        self.work.pop(stream, None)
        self.room.pop(stream, None)

    def leave(self, stream):
        do, task = self.work.pop(stream, ({}, None))
        self.bodies.pop(stream, None)
        if task and not task.done():
            task.cancel()
            self.record.add("gone", do, during="answer")
