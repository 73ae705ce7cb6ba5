"""The mock upstreams, and a proxy in front of each."""

import hashlib
import json
import os
import subprocess
import time

from credentials import KEY, OWN_KEY
from processes import CannotRun, last_line, wait_for

# How many events an answer has, and what they come to.
WORDS = 5
WHOLE_ANSWER = "".join(f"word{n} " for n in range(WORDS))
EVENTS_BEFORE_DEATH = 3
CUT_ANSWER = "".join(f"word{n} " for n in range(EVENTS_BEFORE_DEATH))
PACED_EVENTS = 10

# A function that a client is given, or the shell that an agent has, and what comes of the call.
TOOL_RESULT = "compat-42"
SHELL_COMMAND = "echo compat-$((40 + 2))"
CALLS = [
    ("look_up", {"word": "compat"}),
    ("exec_command", {"cmd": SHELL_COMMAND}),
    ("bash", {"command": SHELL_COMMAND, "description": "say it"}),
]

# What each mock upstream does.
MOCKS = {
    "answer": ["--events", WORDS],
    "paced": ["--events", PACED_EVENTS, "--interval-ms", 100, "--stamp"],
    "dying": ["--events", WORDS, "--die-after", EVENTS_BEFORE_DEATH],
    "calling": ["--events", WORDS, *(f"--call={name}={json.dumps(arguments)}" for name, arguments in CALLS)],
    "refusing": ["--events", WORDS],
}
# A policy that no request of a client passes, for the proxy of that name.
POLICIES = {"refusing": '[everyone]\nmodels = ["none"]\n'}


def allowed_callers(callers, tmp):
    """The proxy's flags for who may call."""
    if callers == "user":
        return ["--allow-user", str(os.getuid())]
    if callers == "token":
        tokens = tmp / "tokens"
        tokens.write_text(f"compat:{hashlib.sha256(OWN_KEY.encode()).hexdigest()}\n")
        return ["--client-token-file", str(tokens)]
    return []


def port_in(info):
    return json.loads(info.read_text())["port"]


def serve(via, programs, callers, background):
    """Starts every mock upstream, over http or h2, and a proxy for each: by the names in MOCKS."""
    return {name: Server(name, via, mock, programs, callers, background) for name, mock in MOCKS.items()}


class Server:
    """A mock upstream, and the proxy in front of it."""

    def __init__(self, name, via, mock, programs, callers, background):
        def file(what):
            return background.tmp / f"{name}.{via}.{what}"

        self._record = file("record")
        scheme, tls, self.trust = "http", [], {}
        if via == "h2":
            authorities = file("ca")
            scheme, tls, self.trust = "https", ["--h2", "--ca-out", authorities], {"SSL_CERT_FILE": str(authorities)}

        info, log = file("mock"), file("mock.log")
        argv = [programs / "mock-upstream", "--info", info, "--record", self._record, *tls, *map(str, mock)]
        if not wait_for(info, background.start(argv, log)):
            raise CannotRun(f"the mock does not start: {last_line(log.read_text(errors='replace'))}")
        self.upstream = f"{scheme}://127.0.0.1:{port_in(info)}/v1/responses"

        info, log, self._access_log = file("info"), file("log"), file("access")
        flags = [*callers, "--access-log", self._access_log]
        if name in POLICIES:
            policy = file("policy")
            policy.write_text(POLICIES[name])
            flags += ["--policy", policy]
        argv = [programs / "codex", "responses-api-proxy", *flags, "--server-info", info, "--upstream-url", self.upstream]
        proxy = background.start(argv, log, stdin=subprocess.PIPE, env=self.trust)
        give_key(proxy)
        if not wait_for(info, proxy):
            raise CannotRun(f"the proxy does not start: {last_line(log.read_text(errors='replace'))}")
        self.port = port_in(info)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def received(self):
        """What the mock upstream got since it was last forgotten: a line of JSON for each request."""
        return self._record.read_text().splitlines()

    def refusals(self):
        """The lines of the access log about what the proxy refused since it was last forgotten, as soon as there is one."""
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            lines = [json.loads(line) for line in self._access_log.read_text().splitlines()]
            refused = [line for line in lines if line["outcome"] == "refused"]
            if refused:
                return refused
            time.sleep(0.02)
        return []

    def forget(self):
        # The mock appends, and so does the proxy.
        os.truncate(self._record, 0)
        os.truncate(self._access_log, 0)


def give_key(proxy):
    """Writes the key to the standard input of a proxy and closes it."""
    try:
        with proxy.stdin as stdin:
            stdin.write(f"{KEY}\n".encode())
    except BrokenPipeError:
        pass  # it ended before it read the key, and its log says why
