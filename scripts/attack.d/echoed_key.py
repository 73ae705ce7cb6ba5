"""The upstream sends the key back where the redactor does not look, or the caller asks for it in another form."""

import os
import zlib

from authority import Authority
from caller import ask
from proxy import Proxy, key_in
from servers import Gateway, Upstream
from stage import Seen, new_key

NAME = "the upstream sends the key where the redactor does not look"

OK = "HTTP/1.1 200 OK\r\n"
JSON = "Content-Type: application/json\r\nContent-Length: 2\r\n"
# What an upstream of HTTP/1.1 answers with; @KEY@ is the key that it got.
ANSWERS = [
    ("a body", OK + "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n" + "." * 13 + "@KEY@\r\n0\r\n\r\n"),
    ("a field's value", OK + JSON + "X-Echo: Bearer @KEY@\r\n\r\n{}"),
    ("a field's name", OK + JSON + "@KEY@: 1\r\n\r\n{}"),
    ("a part of a field's name", OK + JSON + "X-@KEY@-Echo: 1\r\n\r\n{}"),
    ("the words of the status", "HTTP/1.1 200 @KEY@\r\n" + JSON + "\r\n{}"),
    ("the words of an error's status", "HTTP/1.1 401 no @KEY@ here\r\n" + JSON + "\r\n{}"),
    ("a redirect's host", "HTTP/1.1 302 Found\r\nLocation: https://@KEY@.example/\r\nContent-Length: 0\r\n\r\n"),
    ("a redirect's path", "HTTP/1.1 307 Temporary Redirect\r\nLocation: /@KEY@\r\nContent-Length: 0\r\n\r\n"),
    ("a redirect's user", "HTTP/1.1 307 Temporary Redirect\r\nLocation: https://@KEY@@host.example/\r\nContent-Length: 0\r\n\r\n"),
    ("a redirect's scheme", "HTTP/1.1 307 Temporary Redirect\r\nLocation: @KEY@://host.example/\r\nContent-Length: 0\r\n\r\n"),
    ("a 103 head", "HTTP/1.1 103 @KEY@\r\nLink: @KEY@\r\n\r\n" + OK + JSON + "\r\n{}"),
    ("a trailer", OK + "Trailer: X-Echo\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nX-Echo: @KEY@\r\n\r\n"),
    ("a chunk's extension", OK + "Transfer-Encoding: chunked\r\n\r\n2;@KEY@\r\n{}\r\n0;@KEY@\r\n\r\n"),
    ("the content type", OK + "Content-Type: @KEY@\r\nContent-Length: 2\r\n\r\n{}"),
    ("a transfer coding", OK + "Transfer-Encoding: @KEY@\r\n\r\n{}"),
    ("a content coding", OK + "Content-Encoding: @KEY@\r\nContent-Length: 2\r\n\r\n{}"),
    ("a length", OK + "Content-Length: @KEY@\r\n\r\n{}"),
    ("the version", "@KEY@/1.1 200 OK\r\n\r\n"),
    ("a head that is none", "@KEY@\r\n\r\n"),
]
DO = {"do": "small"}
# An upstream's words in ours are cut; a sentence of ours with them is not longer than this, in bytes.
LONGEST = 2000


def attack(stage):
    upstream = Upstream(stage)
    proxy = Proxy(stage, upstream.url).serving()
    for what, answer in ANSWERS:
        yield verdict(f"the key in {what}", proxy, ask(proxy.port, {"do": "raw", "bytes": answer}, timeout=5))
    yield from what_goes_up(stage, upstream, proxy)
    yield in_ranges(proxy)
    proxy.stop()
    authority = Authority(stage)
    issued = authority.issue("gateway", "IP:127.0.0.1")
    env = {"SSL_CERT_FILE": authority.certificate}
    yield compressed(stage, issued, upstream, env)
    yield from over_http_2(stage, issued, env)
    yield certificate_name(stage, authority, env)


def decoded(body):
    """As the caller would read it, if it came compressed."""
    for kind in (zlib.MAX_WBITS | 32, -zlib.MAX_WBITS):
        try:
            return zlib.decompress(body, kind)
        except zlib.error:
            pass
    return b""


def verdict(what, proxy, answer, more=b""):
    to_caller = max(key_in(part, proxy.key) for part in (answer.raw, answer.body, decoded(answer.body), more))
    log = proxy.raw_log()
    to_log = key_in(log, proxy.key)
    raw = [byte for byte in log if byte < 32 and byte != 10 or byte == 127]
    code = answer.code()
    figure = f"{to_caller} characters to the caller ({answer.status}{' ' + code if code else ''}), {to_log} on standard error"
    if raw:
        figure += f", where {len(raw)} control characters stand"
    longest = max([0, *map(len, log.splitlines()[-1:]), len(answer.body) if code else 0])
    if longest > LONGEST:
        figure += f", {longest} bytes at once"
    # What this answer left in the log is not the next one's.
    os.truncate(proxy.log_path, 0)
    return Seen(what, figure, to_caller or to_log or raw or longest > LONGEST)


def what_goes_up(stage, upstream, proxy):
    """What makes an upstream answer in another form does not get there."""
    asked = [
        ("Accept-Encoding", "gzip, br"), ("Range", "bytes=0-2"), ("If-Range", '"x"'), ("TE", "gzip, trailers"), ("A-IM", "gzip"),
    ]
    ask(proxy.port, {"do": "small", "id": "heads", "keep": True}, asked)
    head = upstream.record("request", "heads")[0]["head"]
    fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
    wrong = [name for name in ("range", "if-range", "te") if name in fields]
    if fields.get("accept-encoding", "identity") != "identity":
        wrong.append(f"accept-encoding: {fields['accept-encoding']}")
    yield Seen("what of Accept-Encoding, Range, If-Range, TE goes up", ", ".join(wrong) or "nothing", wrong)
    answer = ask(proxy.port, {"do": "echo", "gzip": True, "id": "gzip"}, [("Accept-Encoding", "gzip")])
    yield verdict("gzip asked of an echo", proxy, answer)


def in_ranges(proxy):
    """The key, three bytes at a time."""
    got = b""
    for first in range(7, 7 + len(proxy.key), 3):
        answer = ask(proxy.port, {"do": "ranges"}, [("Range", f"bytes={first}-{first + 2}")])
        if answer.status == 206:
            got += answer.body
    return verdict("Range, three bytes at a time", proxy, answer, more=got)


def compressed(stage, issued, upstream, env):
    """nginx with gzip on, as an echo."""
    gateway = Gateway(stage, "nginx", issued, upstream.port)
    proxy = Proxy(stage, f"https://127.0.0.1:{gateway.port}/echo", env=env).serving()
    answer = ask(proxy.port, DO, [("Accept-Encoding", "gzip")])
    seen = verdict("gzip asked of nginx, an echo, TLS, HTTP/2", proxy, answer)
    proxy.stop()
    return seen


def over_http_2(stage, issued, env):
    upstream = Upstream(stage, issued, h2=True)
    proxy = Proxy(stage, upstream.url, env=env).serving()
    for what, text in [
        ("the debug data of a GOAWAY", "Bearer " + proxy.key),
        ("the debug data of a GOAWAY, in capitals, with control characters", "\x1b[2J" + proxy.key.upper() + "\r\n\x1b[31m"),
        ("the debug data of a GOAWAY, behind 10 KB", "a" * 10_000 + proxy.key),
    ]:
        answer = ask(proxy.port, {"do": "goaway", "text": text})
        yield verdict(f"the key in {what}", proxy, answer)
    proxy.stop()


def certificate_name(stage, authority, env):
    """The name in the upstream's certificate is the key, with control characters around it."""
    key = new_key()
    names = [b"\x1b[31m" + key.encode() + b"\n.example", key.encode() + b".example"]
    # GeneralName dNSName: [2] IMPLICIT IA5String (RFC 5280, section 4.2.1.6).
    encoded = b"".join(b"\x82" + bytes([len(name)]) + name for name in names)
    length = bytes([len(encoded)]) if len(encoded) < 128 else b"\x81" + bytes([len(encoded)])
    der = (b"\x30" + length + encoded).hex(":").upper()
    issued = authority.issue("key-name", f"DER:{der}")
    upstream = Upstream(stage, issued)
    proxy = Proxy(stage, upstream.url.replace("127.0.0.1", "localhost"), env=env, key=key).serving()
    seen = verdict("the key in a certificate's name, with ESC and a line feed", proxy, ask(proxy.port, DO))
    proxy.stop()
    return seen
