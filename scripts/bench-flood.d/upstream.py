"""An upstream for the benchmark: a small answer, or 16 MB to a request whose body says "big"."""

import asyncio
import sys

SMALL = b'{"object":"response"}'
# Piece by piece, or 50 such answers at once would keep this program busy with copies.
PIECE, PIECES = bytes(64_000), 250


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            if lines.get(b"transfer-encoding") == b"chunked":
                body = b""
                while size := int(await reader.readline(), 16):
                    body += (await reader.readexactly(size + 2))[:-2]
                await reader.readline()
            else:
                body = await reader.readexactly(int(lines.get(b"content-length", 0)))
            pieces = [PIECE] * PIECES if b"big" in body else [SMALL]
            length = sum(map(len, pieces))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % length)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


sys.exit(asyncio.run(main()))
