"""An upstream that speaks without a pause holds up the thread that listens to it."""

from attacker import Attacker
from authority import Authority
from beside import Victims, steady
from caller import ask
from proxy import Proxy
from servers import Upstream
from stage import ALICE, BOB

NAME = "an upstream that never pauses holds up a thread"

MOST_LATE = 20
SECONDS = 1.2

OK = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
CHUNKED = OK + "Transfer-Encoding: chunked\r\n\r\n"
FORMS = [
    ("1xx heads", "", "HTTP/1.1 103 Early Hints\r\n\r\n"),
    ("1xx heads with fields", "", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    ("a chunk size of noughts", CHUNKED, "0000000000000000"),
    ("chunk extensions", CHUNKED + "1;", "a" * 64),
    ("tiny chunks", CHUNKED, "1\r\nx\r\n"),
    ("trailers", CHUNKED + "0\r\n", "X-Trailer: a\r\n"),
    ("a head that does not end", OK, "X-Head: a\r\n"),
    ("a body as fast as it goes", OK + "Content-Length: 100000000000\r\n\r\n", "x" * 65536),
]


def attack(stage):
    upstream = Upstream(stage)
    # Its upstream may be asked for by anybody who may call.
    for uid, whose in ((BOB, "another user's"), (ALICE, "the same user's")):
        for what, opening, unit in FORMS if uid == BOB else FORMS[:1]:
            yield steady(lambda: beside(stage, upstream, f"{what}, {whose}", uid, opening, unit))
    authority = Authority(stage)
    secured = Upstream(stage, authority.issue("upstream", "IP:127.0.0.1"))
    env = {"SSL_CERT_FILE": authority.certificate}
    for what, opening, unit in FORMS[:3:2]:
        yield steady(lambda: beside(stage, secured, f"{what}, another user's, TLS", BOB, opening, unit, env))


def beside(stage, upstream, what, uid, opening, unit, env=None):
    proxy = Proxy(stage, upstream.url, "--threads", "1", env=env).serving()
    victims = Victims(stage, proxy.port, SECONDS + 0.5).begin()
    do = {"do": "pump", "opening": opening, "unit": unit, "seconds": SECONDS}
    Attacker(stage, uid, endure, proxy.port, do).result()
    seen = victims.seen(what, MOST_LATE)
    proxy.stop()
    return seen


def endure(port, do):
    return ask(port, do, timeout=SECONDS).status
