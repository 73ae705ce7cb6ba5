"""Which certificate authorities the start-up line names, and which are trusted."""

import os
import re
import subprocess

from authority import Authority
from caller import ask
from proxy import Proxy
from servers import Upstream
from stage import CannotRun, Seen

NAME = "the start-up line names the wrong certificate authorities"


def attack(stage):
    one, two = Authority(stage, "one"), Authority(stage, "two")
    of_one, of_two = (Upstream(stage, authority.issue(f"upstream-{authority.name}", "IP:127.0.0.1")) for authority in (one, two))
    directory = stage.directory("authorities")
    place = os.path.join(directory, "two.pem")
    with open(two.certificate, "rb") as source, open(place, "wb") as target:
        target.write(source.read())
    os.chmod(place, 0o644)
    subprocess.run(["openssl", "rehash", directory], check=True, capture_output=True)
    empty = stage.directory("no-authorities")
    for what, env in [
        ("SSL_CERT_FILE and SSL_CERT_DIR", {"SSL_CERT_FILE": one.certificate, "SSL_CERT_DIR": directory}),
        ("SSL_CERT_FILE alone", {"SSL_CERT_FILE": one.certificate}),
        ("SSL_CERT_DIR alone", {"SSL_CERT_DIR": directory}),
        ("SSL_CERT_FILE, SSL_CERT_DIR empty", {"SSL_CERT_FILE": one.certificate, "SSL_CERT_DIR": ""}),
        ("SSL_CERT_DIR, SSL_CERT_FILE empty", {"SSL_CERT_FILE": "", "SSL_CERT_DIR": directory}),
        ("SSL_CERT_FILE, SSL_CERT_DIR without any", {"SSL_CERT_FILE": one.certificate, "SSL_CERT_DIR": empty}),
        ("SSL_CERT_FILE and a directory that is not there", {"SSL_CERT_FILE": one.certificate, "SSL_CERT_DIR": "/nowhere"}),
    ]:
        yield told(stage, what, env, of_one, of_two)


def told(stage, what, env, of_one, of_two):
    trusted, line = set(), None
    for upstream, variable in ((of_one, "SSL_CERT_FILE"), (of_two, "SSL_CERT_DIR")):
        proxy = Proxy(stage, upstream.url, env=env)
        if not proxy.settle():
            # To be told what is wrong with a variable is the truth, too.
            said = proxy.log().strip()
            return Seen(what, f"refused at the start: {said[:160]}", not any(name in said for name in env))
        line = next((line for line in proxy.log().splitlines() if "authorit" in line), "")
        if ask(proxy.port, {"do": "small"}).status == 200:
            trusted.add(variable)
        proxy.stop()
    if not line:
        raise CannotRun("no start-up line about authorities")
    # What is in brackets is said to name none.
    sources = re.sub(r"\([^)]*\)", "", line)
    named = {name for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in sources}
    figure = f"trusted: {', '.join(sorted(trusted)) or 'none'}; named: {', '.join(sorted(named)) or 'none'}"
    # A place that was looked into and had none may be named; one that is trusted must be, and a variable
    # that is empty names nothing.
    unset = {name for name in named if not env.get(name)}
    return Seen(what, figure, trusted - named or unset)
