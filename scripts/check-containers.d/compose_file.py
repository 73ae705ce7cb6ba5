"""packaging/compose.yaml, run by podman-compose with an agent and the mock upstream added."""

import importlib.util
import json
import os
import subprocess
import sys

from podman import LIMITS, PROXY_USER
from run import HERE, PROGRAM, WORDS, expect

# What is different here: nobody has a network, and containers may not raise limits. It cannot be said in the arguments.
OVERRIDE = """\
services:
  proxy:
    network_mode: none
    command:
      - --key-file=/run/secrets/openai-key
      - --port=8787
      - --allow-user=1000
      - --control=unix:/run/codex-proxy/control.sock
      - --sandbox=require
      - --upstream-url=http://127.0.0.1:9000/v1/responses
  agent:
    image: localhost/host-programs
    volumes: ["/usr:/usr:ro", "{here}:/agent:ro"]
    command: [python3, -B, /agent/agent.py, ask, "127.0.0.1:8787"]
"""


def the_agent_of_the_compose_file_is_answered(host):
    key = host.podman.directory / "openai.key"
    key.write_text(host.key + "\n", encoding="utf-8")
    os.chown(key, PROXY_USER, PROXY_USER)
    key.chmod(0o400)
    override = host.podman.directory / "override.yaml"
    override.write_text(OVERRIDE.format(here=HERE), encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": f"{host.podman.wrapper()}:{os.environ['PATH']}",
        "AGENT_IMAGE": "localhost/host-programs",
        "PROXY_IMAGE": host.image,
        "OPENAI_KEY_FILE": str(key),
    }

    def compose(*arguments):
        program = importlib.util.find_spec("podman_compose").origin
        files = [host.root / "packaging/compose.yaml", override]
        command = [sys.executable, program, "--in-pod=false", "--project-name=check"]
        command += [f"--podman-run-args={' '.join(LIMITS)}", *[part for file in files for part in ("-f", file)]]
        done = subprocess.run(
            [*command, *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        expect(done.returncode == 0, f"podman-compose {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    compose("up", "--detach", "--no-deps", "proxy")
    waited = host.podman("exec", "check_proxy_1", PROGRAM, "wait", check=False)
    expect(waited.returncode == 0, f"{waited.stdout} {host.podman.logs('check_proxy_1')}")
    host.podman.start(
        "compose-upstream",
        "--network=container:check_proxy_1",
        f"--volume={host.programs / 'mock-upstream'}:/agent/mock-upstream:ro",
        *host.programs_of_host,
        *["/agent/mock-upstream", "--port=9000", f"--key={host.key}", f"--events={WORDS}"],
    )
    answer = json.loads(compose("run", "--rm", "--no-deps", "-T", "agent").splitlines()[-1])
    expect(answer.get("status") == 200 and answer["words"] == WORDS, answer)
    health = host.podman("healthcheck", "run", "check_proxy_1", check=False)
    expect(health.returncode == 0, f"health: {health.stdout}")
    compose("down", "--volumes")


STEPS = (the_agent_of_the_compose_file_is_answered,)
