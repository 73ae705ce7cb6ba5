"""An answer in a transfer coding that nobody asked for, which the proxy does not take off."""

from caller import ask
from proxy import Proxy
from servers import Upstream
from stage import Seen

NAME = "a transfer coding that nobody asked for passes as a success"

CODINGS = ["gzip, chunked", "chunked, gzip", "gzip", "deflate, chunked", "chunked, chunked", "xchunked", "identity, chunked", "GZIP , CHUNKED"]
BODY = "5\r\n\x1f\x8b\x08zz\r\n0\r\n\r\n"


def attack(stage):
    upstream = Upstream(stage)
    proxy = Proxy(stage, upstream.url).serving()
    lines = [(f"Transfer-Encoding: {coding}", coding) for coding in CODINGS]
    lines += [("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked", "gzip and chunked in two lines")]
    lines += [("Content-Encoding: gzip\r\nTransfer-Encoding: chunked", "content coding gzip, chunked")]
    for line, what in lines:
        answer = ask(proxy.port, {"do": "raw", "bytes": f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: text/plain\r\n{line}\r\n\r\n{BODY}"}, timeout=5)
        passed = answer.status == 200 and answer.whole
        figure = f"{answer.status} {answer.code() or ''}".strip() + (f", {len(answer.body)} bytes, whole" if passed else "")
        # What is refused is told as what it is, an upstream's fault.
        yield Seen(what, figure, answer.status != 502)
    plain = ask(proxy.port, {"do": "raw", "bytes": "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"})
    yield Seen("chunked alone", f"{plain.status}, {len(plain.body)} bytes", plain.status != 200 or plain.body != b"{}")
    proxy.stop()
