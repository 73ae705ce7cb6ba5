"""Sends the table to the proxy, to Node and to h11, and compares: judge.py PORT RECORD NODE-PROGRAM.

Prints counts and every row that breaks a rule; exits with 1 on one.
"""

import collections
import concurrent.futures
import json
import pathlib
import re
import socket
import subprocess
import sys
import time

import h11
from cases import CASES, MARK

HANG = 2.0
# The proxy's way to say that it does not read this as a request, or no further.
NOT_READ = {400, 408, 413, 431, 503}
AUTHORIZATION = ["Bearer sk-test-check-framing-the-only-one"]

# Where another parser refuses, or ends the connection, and that is known: why, and in which rows.
# Such a row still has to agree with the parser that is not named.
LENIENT = "hyper is lenient; the connection ends with this request, whose body is framed anew"
KNOWN = {
    "node": {
        "Node knows a fixed list of methods; 403 here": [
            "request line: post",
            "request line: Post",
            "request line: unknown method",
            "content-length: underscore in the name",
        ],
        "Node wants a path for a target; 403 here": ["request line: authority for a target"],
        "Node reads nothing behind an Upgrade; here it is no upgrade": ["plain: upgrade h2c", "plain: upgrade websocket"],
        "RFC 9112, section 5: a tab may stand behind a value": [
            "plain: trailing space in a value",
            "transfer-encoding: tab behind",
        ],
        "RFC 9112, section 7.1.1: white space may stand before an extension": ["chunks: extension with a space"],
        "Node refuses these two as trailers; here all trailers end": [
            "trailers: content-length",
            "trailers: transfer-encoding",
        ],
        LENIENT: [
            "chunks: extension without a name",
            "chunks: extension with a NUL",
            "chunks: extension above 127",
            "chunks: unclosed quote over the line",
            "chunks: space behind the size",
            "chunks: tab behind the size",
            "chunks: bare LF at the end",
            "trailers: bare LF",
        ],
    },
    "h11": {
        "RFC 9112, section 2.2: an empty line before a request is skipped": [
            "line ends: one CR LF first",
            "line ends: three CR LF first",
            "line ends: CR LF between two",
        ],
        "RFC 9112, section 7.1.1: white space may stand before an extension": ["chunks: extension with a space"],
        "h11 ends every HTTP/1.0 connection": ["request line: HTTP/1.0, keep-alive"],
        "h11 reads at most 20 digits": ["chunks: a hundred zeros"],
    },
}
WHY = {(parser, name): why for parser, whys in KNOWN.items() for why, names in whys.items() for name in names}


def proxy_says(port, sent):
    """The statuses of its answers, and how the connection ended."""
    got, ended = b"", "hangs"
    with socket.create_connection(("127.0.0.1", port), HANG) as peer:
        deadline = time.monotonic() + HANG
        try:
            peer.sendall(sent)
            half_closed = False
            while time.monotonic() < deadline:
                # Half-closing at once would cancel what is being answered, so that is left
                # until nothing comes any more; it must then end by itself.
                peer.settimeout(max(0.01, deadline - time.monotonic()) if half_closed else 0.7)
                try:
                    piece = peer.recv(65536)
                except TimeoutError:
                    if not half_closed:
                        half_closed = True
                        peer.shutdown(socket.SHUT_WR)
                    continue
                if not piece:
                    ended = "closed"
                    break
                got += piece
        except OSError:
            ended = "reset"
    return statuses(got), ended


def statuses(got):
    """Of each final answer in a stream of answers: its status."""
    found = []
    while got:
        head, _, rest = got.partition(b"\r\n\r\n")
        status = int(head[9:12])
        if status < 200:
            got = rest
            continue
        found.append(status)
        length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
        # Without a length it is chunked (the mock gives lengths) or the last.
        got = rest[int(length[1]) :] if length else b""
    return found


def h11_says(sent):
    """Method, target, body and whether that is whole, of each request."""
    requests = []
    peer = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        peer.receive_data(sent)
        peer.receive_data(b"")
        while True:
            event = peer.next_event()
            if isinstance(event, h11.Request):
                requests.append({"method": event.method.decode("latin1"), "target": event.target.decode("latin1"), "body": "", "whole": False})
            elif isinstance(event, h11.Data):
                requests[-1]["body"] += bytes(event.data).decode("latin1")
            elif isinstance(event, h11.EndOfMessage):
                requests[-1]["whole"] = True
                peer.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
                peer.send(h11.EndOfMessage())
                if peer.our_state is not h11.DONE:
                    return requests
                peer.start_next_cycle()
            else:
                return requests
    except h11.ProtocolError:
        return requests


def node_says(program, sent):
    lines = "".join(json.dumps({"row": n, "sent": one.decode("latin1")}) + "\n" for n, one in enumerate(sent))
    told = subprocess.run(["node", program], input=lines, capture_output=True, text=True, timeout=120, check=True)
    said = [json.loads(line) for line in told.stdout.splitlines()]
    assert [one["row"] for one in said] == list(range(len(sent))), "the Node program lost a row"
    return [one["requests"] for one in said]


def broken(answers, ended, upstream, others):
    """Which rules one row breaks: (rule, detail, parser)."""
    read = [status for status in answers if status not in NOT_READ]
    served = read.count(200)
    if ended == "hangs":
        yield "hang", f"open after {HANG} s, answers: {answers}", ""
    if len(upstream) != served:
        yield "upstream", f"{served} answered with 200, {len(upstream)} requests upstream", ""
    for request in upstream:
        credentials = [value for name, value in request["headers"] if name.lower() == "authorization"]
        if credentials != AUTHORIZATION or request["method"] != "POST":
            yield "upstream", f"{request['method']} with Authorization {credentials}", ""
    for parser, requests in others.items():
        if len(requests) < len(read):
            yield "request", f"the proxy reads {len(read)} requests {answers}, {parser} {len(requests)}", parser
        bodies = iter(upstream)
        for status, request in zip(read, requests):
            ours = next(bodies, None) if status == 200 else None
            if ours and (request["method"], request["target"]) != ("POST", "/v1/responses"):
                yield "target", f"{parser} reads {request['method']} {request['target']}", parser
            if ours and not (request["whole"] and request["body"] == ours["body"]):
                yield "body", f"upstream got {ours['body'][:60]!r}, {parser} reads {request['body'][:60]!r}, whole: {request['whole']}", parser


def main():
    port, record, program = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
    names = [name for name, _ in CASES]
    assert len(set(names)) == len(names), "two rows have one name"
    assert {name for _, name in WHY} <= set(names), "a known row is not in the table"
    sent = [one.replace(MARK, b"%04d" % n) for n, (_, one) in enumerate(CASES)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        ours = list(pool.map(lambda one: proxy_says(port, one), sent))
    node, python = node_says(program, sent), [h11_says(one) for one in sent]

    upstream = collections.defaultdict(list)
    for line in record.read_text().splitlines() if record.exists() else []:
        request = json.loads(line)
        upstream[dict(request["headers"]).get("x-case")].append(request)

    counts, failures, stricter = collections.Counter(), [], 0
    for n, name in enumerate(names):
        answers, ended = ours[n]
        served = answers[:1] == [200]
        counts[name.split(":")[0], "served" if served else "refused"] += 1
        stricter += not any(status not in NOT_READ for status in answers) and bool(node[n] or python[n])
        for rule, detail, parser in broken(answers, ended, upstream.pop(f"{n:04}", []), {"node": node[n], "h11": python[n]}):
            why = WHY.get((parser, name))
            known = why and (why != LENIENT or len(answers) == 1)
            counts[name.split(":")[0], "known" if known else "BROKEN"] += 1
            if not known:
                failures.append((name, rule, detail))
    for mark, requests in upstream.items():
        failures.append((str(mark), "upstream", f"{len(requests)} requests that no row sent"))

    columns = ["served", "refused", "known", "BROKEN"]
    print(f"{'FIRST REQUEST':24}" + "".join(f"{column:>9}" for column in columns))
    groups = list(dict.fromkeys(name.split(":")[0] for name in names))
    for group in groups:
        print(f"{group:24}" + "".join(f"{counts[group, column]:9}" for column in columns))
    print(f"{'all ' + str(len(names)):24}" + "".join(f"{sum(counts[group, column] for group in groups):9}" for column in columns))
    print(f"not read as a request here, but by Node or h11: {stricter}")
    for name, rule, detail in failures:
        print(f"BROKEN {name}: {rule}: {detail}")
    sys.exit(bool(failures))


main()
