"""One request with a large head: a gateway answers it with an error of the whole HTTP/2 connection."""

import collections

from attacker import Attacker
from authority import Authority
from beside import Victims, steady
from caller import ask
from proxy import Proxy
from servers import GATEWAYS, Gateway, Upstream
from stage import ALICE, BOB

NAME = "one large request head cuts every caller of its connection"

MOST_LATE = 50

FORMS = [
    ("a field of 20 KB", [("X-Large", "a" * 20_000)]),
    ("240 small fields", [(f"X-Small-{n}", "a") for n in range(240)]),
    ("a name of 5 KB", [("X-" + "n" * 5_000, "a")]),
]
# Up to what may be allowed: whatever is passed on has to be good for everybody on the connection.
LADDER = [
    *[(f"{n} fields", [(f"X-Small-{k}", "a") for k in range(n)]) for n in (60, 80, 90, 95, 98, 100, 105, 128, 180)],
    *[(f"a field of {n} bytes", [("X-Large", "a" * n)]) for n in (3_000, 4_000, 6_000, 7_900, 8_100, 12_000, 16_000, 33_000)],
    *[(f"a name of {n} bytes", [("X-" + "n" * (n - 2), "a")]) for n in (100, 128, 200, 250, 256, 1_000, 4_100)],
    *[(f"{n} fields of 1 KB", [(f"X-Kilo-{k}", "a" * 1_000) for k in range(n)]) for n in (6, 8, 16, 31, 33, 60)],
]


def attack(stage):
    authority = Authority(stage)
    issued = authority.issue("gateway", "IP:127.0.0.1")
    upstream = Upstream(stage)
    env = {"SSL_CERT_FILE": authority.certificate}
    for name in GATEWAYS:
        gateway = Gateway(stage, name, issued, upstream.port)
        proxy = Proxy(stage, gateway.url, env=env).serving()
        for uid, whose, forms in [
            (BOB, "another user's three", FORMS),
            (ALICE, "the same user's three", FORMS),
            (ALICE, f"the same user's {len(LADDER)} of all sizes", LADDER),
        ]:
            yield steady(lambda: beside(stage, proxy, f"{name}: {whose}", uid, forms))
        proxy.stop()


def beside(stage, proxy, what, uid, forms):
    """The victims are ALICE's; the attacker has `uid`."""
    victims = Victims(stage, proxy.port, 1.2).begin()
    statuses = Attacker(stage, uid, send_all, proxy.port, forms).result()
    seen = victims.seen(what, MOST_LATE)
    seen.figure += f"; answered {', '.join(f'{n} x {status}' for status, n in sorted(statuses.items()))}"
    return seen


def send_all(port, forms):
    """How often each status came."""
    return collections.Counter(ask(port, {"do": "small"}, extra, timeout=3).status for _, extra in forms)
