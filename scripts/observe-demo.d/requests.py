"""The series of requests: whole answers, a refusal, a caller that leaves, an upstream that dies.

Each is over, and in the access log, before the next begins.

Usage: requests.py PORT PID-OF-THE-UPSTREAM ACCESS-LOG
"""

import http.client
import json
import os
import signal
import sys
import time

port, upstream, log = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]


def ask(method="POST", path="/v1/responses", stream=False):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    body = json.dumps({"model": "gpt-5.2", "input": "Say hi", "stream": stream}) if method == "POST" else None
    connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
    return connection, connection.getresponse()


def read_deltas(response, count):
    """Until that many pieces of text have come."""
    while count:
        line = response.readline()
        if not line:
            sys.exit("the answer ended early")
        count -= line.startswith(b"event: response.output_text.delta")


def await_lines(count):
    for _ in range(1000):
        with open(log, "rb") as file:
            if file.read().count(b"\n") == count:
                return
        time.sleep(0.01)
    sys.exit(f"the access log does not come to have {count} lines")


def whole(**how):
    connection, response = ask(**how)
    response.read()
    connection.close()


def left():
    connection, response = ask(stream=True)
    read_deltas(response, 3)
    response.close()
    connection.close()


def cut():
    connection, response = ask(stream=True)
    # Long enough for the line at the bottom of a terminal to be there.
    read_deltas(response, 8)
    os.kill(upstream, signal.SIGTERM)
    try:
        response.read()
    except (http.client.IncompleteRead, ConnectionError):
        pass
    else:
        sys.exit("the answer looks whole")
    connection.close()


series = [
    lambda: whole(stream=True),
    lambda: whole(),
    lambda: whole(method="GET", path="/v1/models"),
    left,
    cut,
    lambda: whole(),
]
for number, request in enumerate(series, start=1):
    request()
    await_lines(number)
