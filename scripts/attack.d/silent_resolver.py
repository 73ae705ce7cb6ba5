"""The resolver falls silent, and each request waits for it in a thread of its own."""

import os
import select
import subprocess
import time

from attacker import Attacker
from authority import Authority
from beside import Victims
from caller import connect, request
from proxy import Proxy
from servers import URL, Upstream, port_of
from stage import ALICE, BOB, SERVICE, CannotRun, Seen

NAME = "a resolver that does not answer costs a thread for each request"

ADDRESS = "127.53.53.53"
HOST = "upstream.attack.test"
REQUESTS = 400
# Beyond those that are there before; a look-up or two at a time.
MOST_THREADS = 8
MOST_LATE = 50


def attack(stage):
    authority = Authority(stage)
    upstream = Upstream(stage, authority.issue("upstream", f"DNS:{HOST}"))
    silent = stage.path("silent")
    resolver = stage.python("resolver.py", ADDRESS, silent, stdout=subprocess.PIPE)
    port_of(resolver, "the resolver")
    resolv = stage.write("resolv.conf", f"nameserver {ADDRESS}\noptions timeout:5 attempts:2\n")
    before = [
        "unshare", "--mount", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolv,
        "setpriv", "--reuid", str(SERVICE), "--regid", str(SERVICE), "--clear-groups",
    ]
    for uid, whose in ((BOB, "another user's"), (ALICE, "the same user's")):
        proxy = Proxy(
            stage, f"https://{HOST}:{upstream.port}{URL}", "--max-connections-per-user", "1000", uid=0, before=before,
            env={"SSL_CERT_FILE": authority.certificate},
        ).serving()
        victims = Victims(stage, proxy.port, 4.0).begin()
        idle = proxy.status("Threads")
        open(silent, "wb").close()
        attacker = Attacker(stage, uid, crowd, proxy.port)
        most, deadline = 0, time.monotonic() + 3
        while time.monotonic() < deadline:
            most = max(most, proxy.status("Threads"))
            time.sleep(0.02)
        sent = attacker.result()
        if sent < REQUESTS:
            raise CannotRun(f"only {sent} requests could be sent")
        yield Seen(f"{sent} requests of {whose}", f"{most} threads, {idle} before", most > idle + MOST_THREADS)
        yield victims.seen(f"victims beside {whose}", MOST_LATE)
        os.remove(silent)
        proxy.stop()


def crowd(port):
    peers = []
    for _ in range(REQUESTS):
        try:
            peer = connect(port, 3)
            peer.sendall(request({"do": "small"}))
            peers.append(peer)
        except OSError:
            break
    select.select([], [], [], 2.5)
    return len(peers)
