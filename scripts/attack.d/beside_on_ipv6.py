"""The same port on ::1: who says `localhost` may end there."""

from caller import ask
from proxy import Proxy
from servers import Upstream
from stage import Seen, free_port
from stranger_gateway import Stranger

NAME = "the same port on [::1] belongs to a stranger"


def attack(stage):
    upstream = Upstream(stage)
    for what, args in [("--port", ["--port", str(free_port(both=True))]), ("a port of the system's choice", [])]:
        proxy = Proxy(stage, upstream.url, *args).serving()
        got, connections = Stranger(stage, "::1", proxy.port, 0.3).got()
        taken = not got.startswith(b"cannot listen")
        answer = ask(proxy.port, {"do": "small"}, address="::1", timeout=2)
        figure = "a stranger can have it" if taken else f"the proxy has it and answers {answer.status}"
        yield Seen(f"{what}: [::1]:PORT after the start", figure, taken or answer.status != 200)
        proxy.stop()
        del connections
    port = free_port(both=True)
    stranger = Stranger(stage, "::1", port, 2)
    proxy = Proxy(stage, upstream.url, "--port", str(port))
    serves = proxy.settle()
    said = [line for line in proxy.log().splitlines() if "::1" in line]
    proxy.stop()
    stranger.got()
    figure = f"said: {said[0][:140]}" if said else "nothing is said of it"
    yield Seen(f"a stranger has it before the start, which {'goes on' if serves else 'is refused'}", figure, not said)
