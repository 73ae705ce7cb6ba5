"""The proxy in a container and agents in others: what works, and what an agent cannot get at."""

import json
import os
import secrets
import time
from pathlib import Path

from podman import HARDENED, HEALTH, LIMITS, PROXY_USER, Podman, wait_for_file

HERE = Path(__file__).resolve().parent
PROGRAM = "/codex-responses-api-proxy"

# Users of the agents: one that may call, one that may not, and the first of a user namespace.
AGENT, STRANGER, MAPPED = 1000, 1001, 200_000

UPSTREAM = ["--upstream-url=https://localhost:9443/v1/responses"]

# What an answer of the mock upstream has, and how far apart.
WORDS, APART_MS = 6, 150


def expect(holds, said):
    if not holds:
        raise AssertionError(said)


class Host:
    """podman with the images, a mock upstream and, unless told otherwise, the proxy; ended with it."""

    def __init__(self, root, programs, start=True):
        self.root, self.programs, self.starts = root, Path(programs), start
        self.podman = Podman()
        self.key = f"sk-check-{secrets.token_hex(16)}"

    def __enter__(self):
        try:
            self.prepare()
        except BaseException:
            self.podman.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.podman.__exit__()

    def prepare(self):
        podman = self.podman
        self.image = podman.load(self.root / "packaging/build-image", self.programs)
        self.programs_of_host = podman.import_host_programs()
        self.out = podman.directory / "out"
        self.out.mkdir()
        # It has the network that all of them share, so it is there first; the proxy could as well be.
        self.upstream = podman.start(
            "upstream",
            "--network=none",
            f"--volume={self.programs / 'mock-upstream'}:/agent/mock-upstream:ro",
            f"--volume={self.out}:/out",
            *self.programs_of_host,
            *["/agent/mock-upstream", "--h2", "--port=9443", "--ca-out=/out/ca.pem", "--record=/out/record"],
            *[f"--events={WORDS}", f"--interval-ms={APART_MS}", "--info=/out/info"],
        )
        wait_for_file(self.out / "info", podman, self.upstream)
        os.chmod(self.out / "ca.pem", 0o644)
        podman("secret", "create", "openai-key", "-", stdin=None, input=self.key + "\n")
        self.network = f"--network=container:{self.upstream}"
        if self.starts:
            self.start_proxy("proxy", "--volume=codex-proxy:/run/codex-proxy", HEALTH)

    def secret(self):
        return f"--secret=openai-key,uid={PROXY_USER},gid={PROXY_USER},mode=0400"

    def start_proxy(self, name, *options, secret=None, port=8787):
        """As docs/containers.md has it, with the mock upstream in OpenAI's place."""
        return self.start_with(self.flags(port=port), name, *options, secret=secret)

    def start_with(self, flags, name, *options, secret=None):
        self.podman.start(name, *self.proxy(*options, secret=secret), *flags)
        waited = self.podman("exec", name, PROGRAM, "wait", check=False)
        expect(waited.returncode == 0, f"{waited.stdout} {self.podman.logs(name)}")
        return name

    def proxy(self, *options, secret=None):
        return [
            *HARDENED,
            *(secret or [self.secret()]),
            self.network,
            f"--volume={self.out / 'ca.pem'}:/etc/ssl/certs/ca-certificates.crt:ro",
            *options,
            self.image,
        ]

    def flags(self, *flags, port=8787):
        return [
            *UPSTREAM,
            *["--key-file=/run/secrets/openai-key", "--sandbox=require", f"--port={port}"],
            *["--listen=unix:/run/codex-proxy/api.sock", "--socket-mode=666"],
            "--control=unix:/run/codex-proxy/control.sock",
            *[f"--allow-user={AGENT}", f"--allow-user={MAPPED + AGENT}"],
            *flags,
        ]

    def fails(self, *options, secret=None):
        """A start beside the other one that has to fail: what it says."""
        command = self.proxy("--rm", "--tmpfs=/run/codex-proxy:mode=1777", *options, secret=secret)
        done = self.podman("run", *LIMITS, *command, *self.flags(port=8788), check=False)
        expect(done.returncode == 1 and "Error: " in done.stdout, f"{done.returncode}: {done.stdout}")
        expect(self.key not in done.stdout, "the key is in it")
        return done.stdout

    def agent(self, *options, user=AGENT, command=()):
        """Another container, with python3 of this host, which runs agent.py: what it prints."""
        options = [f"--user={user}:{user}", f"--volume={HERE}:/agent:ro", *options, *self.programs_of_host]
        return self.podman.json_of("run", "--rm", *LIMITS, *options, "python3", "-B", "/agent/agent.py", *command)

    def ask(self, where, *options, user=AGENT):
        return self.agent(*options, user=user, command=["ask", where])


def is_streamed(answer):
    expect(answer.get("status") == 200 and answer["words"] == WORDS, answer)
    expect(answer["seconds"] > (WORDS - 2) * APART_MS / 1000, f"it came at once: {answer}")


def it_runs_read_only_without_capabilities_and_not_as_root(host):
    status = host.podman.status_of_the_process("proxy")
    expect(status["Uid"].split() == [str(PROXY_USER)] * 4, status["Uid"])
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        expect(int(status[name], 16) == 0, f"{name} {status[name]}")
    expect(status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", f"{status['NoNewPrivs']} {status['Seccomp']}")
    is_read_only = host.podman("inspect", "--format={{.HostConfig.ReadonlyRootfs}}", "proxy").stdout.strip()
    expect(is_read_only == "true", is_read_only)


def all_of_the_sandbox_is_applied(host):
    said = host.podman.logs("proxy")
    expect("key: memfd_secret page, locked in RAM" in said, said)
    expect("not applied" not in said and "warning" not in said and "hint" not in said, said)
    expect(host.key not in said, "the key is in the log")
    return [line for line in said.splitlines() if line.startswith("process: ")][0]


def wait_and_status_are_its_health(host):
    asked = host.podman("exec", "proxy", PROGRAM, "status").stdout
    expect("state:        serving" in asked, asked)
    health = host.podman("healthcheck", "run", "proxy", check=False)
    expect(health.returncode == 0, health.stdout)
    nobody = host.podman("run", "--rm", *LIMITS, host.image, "status", check=False)
    expect(nobody.returncode == 3, f"{nobody.returncode}: {nobody.stdout}")
    too_early = host.podman("run", "--rm", *LIMITS, host.image, "wait", "--timeout=1s", check=False)
    expect(too_early.returncode == 1, f"{too_early.returncode}: {too_early.stdout}")


def an_agent_in_the_same_network_is_answered(host):
    is_streamed(host.ask("127.0.0.1:8787", host.network))
    request = json.loads((host.out / "record").read_text(encoding="utf-8").splitlines()[-1])
    sent = [value for name, value in request["headers"] if name.lower() == "authorization"]
    expect(sent == [f"Bearer {host.key}"], f"{len(sent)} credentials arrived, or another one")


def another_user_there_is_refused(host):
    answer = host.ask("127.0.0.1:8787", host.network, user=STRANGER)
    expect(answer == {"status": 403, "code": "caller_not_allowed"}, answer)


def an_agent_in_another_network_gets_no_connection(host):
    answer = host.ask("127.0.0.1:8787", "--network=none")
    expect("error" in answer, answer)


def an_agent_without_a_network_asks_through_the_socket(host):
    options = ["--network=none", "--volume=codex-proxy:/run/codex-proxy:ro"]
    is_streamed(host.ask("unix:/run/codex-proxy/api.sock", *options))
    answer = host.ask("unix:/run/codex-proxy/api.sock", *options, user=STRANGER)
    expect(answer == {"status": 403, "code": "caller_not_allowed"}, answer)


def a_user_of_a_user_namespace_is_the_one_it_is_outside(host):
    options = [f"--uidmap=0:{MAPPED}:65536", f"--gidmap=0:{MAPPED}:65536", "--network=none"]
    options += ["--volume=codex-proxy:/run/codex-proxy:ro"]
    is_streamed(host.ask("unix:/run/codex-proxy/api.sock", *options))
    answer = host.ask("unix:/run/codex-proxy/api.sock", *options, user=STRANGER)
    expect(answer == {"status": 403, "code": "caller_not_allowed"}, answer)
    callers = json.loads(host.podman("exec", "proxy", PROGRAM, "status", "--json").stdout)["callers"]
    expect({AGENT, MAPPED + AGENT} <= {caller["uid"] for caller in callers}, callers)


def a_proxy_in_a_user_namespace_sees_everybody_else_as_one_user(host):
    # Of two namespaces that do not map each other, as --userns=auto makes them.
    options = [f"--uidmap=0:{3 * MAPPED}:65536", f"--gidmap=0:{3 * MAPPED}:65536"]
    options += ["--volume=other-proxy:/run/codex-proxy:U", "--network=none"]
    host.podman.start(
        "mapped",
        *[option for option in host.proxy(*options) if option != host.network],
        *host.flags("--allow-user=65534"),
    )
    waited = host.podman("exec", "mapped", PROGRAM, "wait", check=False)
    said = host.podman.logs("mapped")
    expect(waited.returncode == 0, f"{waited.stdout} {said}")
    expect("stands for every user of the host that it does not map" in said, said)
    options = ["--network=none", "--volume=other-proxy:/run/codex-proxy:ro"]
    # No upstream is there: who may call is told apart before it is asked.
    for user in (AGENT, STRANGER):
        answer = host.ask("unix:/run/codex-proxy/api.sock", *options, user=user)
        expect(answer.get("status") == 502, answer)
    host.podman.remove("mapped")


def an_agent_finds_no_key(host):
    """Also where it should not be run: with the processes of the proxy, as its user and as root."""
    secret = "/run/secrets/openai-key"
    volume = "--volume=codex-proxy:/run/codex-proxy"
    apart = host.agent(host.network, volume, user=PROXY_USER, command=["look", secret])
    expect(not apart["others"] and not apart["files"], apart)
    ways = 0
    for user in (PROXY_USER, 0):
        options = [host.network, "--pid=container:proxy", volume]
        found = host.agent(*options, user=user, command=["look", secret])
        # The proxy and the process that reads its key file.
        expect(len(found["others"]) == 2 and not found["files"], found)
        # Otherwise nothing would follow from the rest.
        expect(all(found["ordinary"].values()), f"an ordinary process is closed too: {found['ordinary']}")
        for opened in found["others"].values():
            expect(not any(opened.values()), f"user {user}: {opened}")
            ways += len(opened)
    return f"{ways} ways tried"


def it_ends_when_podman_stops_it(host):
    began = time.monotonic()
    host.podman("stop", "--time=15", "proxy")
    state = host.podman("inspect", "--format={{.State.ExitCode}}", "proxy").stdout.strip()
    expect(state == "0", f"exit status {state}")
    return f"{time.monotonic() - began:.1f} s"


STEPS = (
    it_runs_read_only_without_capabilities_and_not_as_root,
    all_of_the_sandbox_is_applied,
    wait_and_status_are_its_health,
    an_agent_in_the_same_network_is_answered,
    another_user_there_is_refused,
    an_agent_in_another_network_gets_no_connection,
    an_agent_without_a_network_asks_through_the_socket,
    a_user_of_a_user_namespace_is_the_one_it_is_outside,
    a_proxy_in_a_user_namespace_sees_everybody_else_as_one_user,
    an_agent_finds_no_key,
    it_ends_when_podman_stops_it,
)
