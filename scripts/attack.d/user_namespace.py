"""In a user namespace every user who has no number there looks like user 65534, `nobody`."""

import re

from attacker import Attacker
from caller import ask
from proxy import Proxy
from servers import Upstream
from stage import ALICE, SERVICE, Seen

NAME = "in a user namespace one user stands for many"

WARNED = re.compile(r"namespace|unmapped|overflow", re.I)


def attack(stage):
    upstream = Upstream(stage)
    for what, args in [
        ("--allow-user nobody", ["--allow-user", "nobody"]),
        ("--allow-user 65534", ["--allow-user", "65534"]),
    ]:
        proxy = Proxy(stage, upstream.url, *args, sealed=False, before=["unshare", "--user", "--map-root-user"])
        serves = proxy.settle()
        warned = WARNED.search(proxy.log())
        status = Attacker(stage, ALICE, call, proxy.port).result() if serves else 0
        figure = "refused at the start" if not serves else f"user {ALICE}, not named, has {status}"
        figure += "; it says so" if warned else "; nothing is said of it"
        yield Seen(f"{what} in a user namespace of user {SERVICE}", figure, not warned and (status == 200 or not serves))
        proxy.stop()
    # Outside of one the same flag is about one user, and nothing is to be said.
    proxy = Proxy(stage, upstream.url, "--allow-user", "nobody").serving()
    status = Attacker(stage, ALICE, call, proxy.port).result()
    yield Seen("--allow-user nobody, no user namespace", f"user {ALICE} has {status}", status != 403)
    proxy.stop()


def call(port):
    return ask(port, {"do": "small"}).status
