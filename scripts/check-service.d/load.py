"""Callers in a container's network, as a user of it: each request on a connection of its own, and every outcome counted."""

import collections
import json
import os
import socket
import subprocess
import sys
import threading

REQUEST_BODY = json.dumps({"model": "gpt-5", "input": "hi", "stream": True}).encode()
REQUEST = (
    b"POST /v1/responses HTTP/1.1\r\nHost: 127.0.0.1:8787\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(REQUEST_BODY)
) + REQUEST_BODY
# How an answer of the mock upstream ends, behind which only the end of the framing comes.
LAST = b"\r\n0\r\n\r\n"
AT_ONCE = 8


def outcome():
    """One request: `ok`, or what was wrong with it."""
    try:
        # Not create_connection, which loads more of Python when the user may be unable to read that.
        with socket.socket() as connection:
            connection.settimeout(60)
            connection.connect(("127.0.0.1", 8787))
            connection.sendall(REQUEST)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
    except OSError as error:
        return f"{type(error).__name__}: {error}"
    if not answer.startswith(b"HTTP/1.1 200 "):
        return answer.split(b"\r\n", 1)[0].decode(errors="replace") or "closed without an answer"
    if b"response.completed" not in answer or not answer.endswith(LAST):
        return "an answer that is cut short"
    return "ok"


def main(uid, count):
    """Becomes the user, makes so many requests, says on standard output how far it is, and at the end what came of them."""
    os.setgroups([])
    os.setgid(uid)
    os.setuid(uid)
    left = collections.deque(range(count))
    outcomes = collections.Counter()
    lock = threading.Lock()

    def work():
        while True:
            with lock:
                if not left:
                    return
                left.pop()
                if len(left) % 1000 == 0:
                    print(f"left {len(left)}", flush=True)
            came = outcome()
            with lock:
                outcomes[came] += 1

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(outcomes), flush=True)


class Load:
    """So many requests, under way in the container as a user of it."""

    def __init__(self, container, uid, count):
        command = ["nsenter", "-t", str(container.init), "-n", sys.executable, os.path.abspath(__file__), str(uid), str(count)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def await_left(self, count):
        """Until not more than so many are left to be made."""
        for line in self.process.stdout:
            if line.startswith("left ") and int(line.split()[1]) <= count:
                return
        raise AssertionError("the load has ended before it was far enough")

    def outcomes(self):
        lines = self.process.stdout.read().splitlines()
        self.process.wait()
        return json.loads(lines[-1])


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
