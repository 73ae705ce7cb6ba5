"""A name server that answers 127.0.0.1 to everything, or nothing while a file is there: resolver.py ADDRESS SILENT-FILE.

Prints "53" when it listens.
"""

import os
import socket
import struct
import sys

ADDRESS, SILENT = sys.argv[1:]
A, IN = 1, 1


def answer(query):
    """What RFC 1035, section 4.1 asks for: the question again, and an address if one is asked for."""
    end = query.index(b"\0", 12) + 5
    question = query[12:end]
    kind = struct.unpack("!H", question[-4:-2])[0]
    has = kind == A
    head = query[:2] + struct.pack("!HHHHH", 0x8180, 1, int(has), 0, 0)
    # A name that points back at the question's, no time to keep it, four bytes.
    return head + question + (b"\xc0\x0c" + struct.pack("!HHIH", A, IN, 0, 4) + bytes([127, 0, 0, 1]) if has else b"")


with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((ADDRESS, 53))
    print(53, flush=True)
    while True:
        query, whose = server.recvfrom(4096)
        if not os.path.exists(SILENT):
            server.sendto(answer(query), whose)
