"""What an HTTP/2 upstream can send without end on an answer that nobody reads, frame by frame."""

import asyncio
import struct

from h2_server import DATA, END_HEADERS, FRAME, HEADERS, PADDED, PING, SETTINGS, WINDOW_UPDATE, frame, literal

PRIORITY, CONTINUATION, UNKNOWN = 2, 9, 99

FLOODS = {
    "frames without data": lambda stream: frame(DATA, 0, stream),
    "frames of one byte": lambda stream: frame(DATA, 0, stream, b"x"),
    "padding": lambda stream: frame(DATA, PADDED, stream, b"\xff" + bytes(255)),
    "a byte in padding": lambda stream: frame(DATA, PADDED, stream, b"\xfex" + bytes(254)),
    "data beyond the window": lambda stream: frame(DATA, 0, stream, b"x" * FRAME),
    "trailers": lambda stream: frame(HEADERS, END_HEADERS, stream, literal("a", "b")),
    "a head without end": lambda stream: frame(CONTINUATION, 0, stream, literal("a", "b")),
    "window updates": lambda stream: frame(WINDOW_UPDATE, 0, stream, struct.pack("!I", 1)),
    "priorities": lambda stream: frame(PRIORITY, 0, stream, bytes(4) + b"\x01"),
    "frames of no known kind": lambda stream: frame(UNKNOWN, 0, stream, b"x" * 100),
    "settings": lambda stream: frame(SETTINGS, 0, 0),
    "pings": lambda stream: frame(PING, 0, 0, bytes(8)),
}
# Frames that the other side has to answer, each.
ANSWERED = ("settings", "pings")


async def flood(do, answer):
    """An answer that begins as any other, fills its window, and then goes on with `do["with"]`."""
    one = FLOODS[do["with"]](answer.stream)
    await answer.begin()
    await answer.data(b"x" * do["first"])
    if do["with"] == "a head without end":
        await answer.raw(frame(HEADERS, 0, answer.stream, literal("a", "b")))
    at_once = one * (60_000 // len(one) + 1)
    for _ in range(do["bytes"] // len(at_once)):
        await answer.raw(at_once)
        # Others have their turn, although the socket takes everything.
        await asyncio.sleep(0)
