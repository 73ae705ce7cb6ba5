"""OpenAI's SDKs for Python and Node, driven by sdk.py and sdk.mjs."""

import json
import pathlib
import re

from credentials import COOKIE, OWN_KEY
from install import need, npm_install, pip_install
from processes import run

PROGRAMS = pathlib.Path(__file__).resolve().parent


class Sdk:
    version = ""

    def _run(self, server, check):
        # The address and a key from their usual variables, as in any program that uses an SDK.
        env = {"OPENAI_BASE_URL": server.url("/v1"), "OPENAI_API_KEY": OWN_KEY, "COMPAT_COOKIE": COOKIE}
        return run([*self._program, check], env)

    def check(self, servers, expect):
        for check in self._answers:
            expect.answered(f"answer, {check}", self._run(servers["answer"], check))
        outcome = self._run(servers["paced"], "pacing")
        events = re.findall(r"^(\d+) +(\d+)$", outcome.out, re.MULTILINE)
        expect.paced("pacing", outcome, [(int(sent), int(arrived)) for sent, arrived in events])
        expect.refused("refusal", self._run(servers["answer"], "refusal"), "GET /v1/models is not served here")
        expect.cut_short("upstream dies", self._run(servers["dying"], "stream"), "rror")


class PythonSdk(Sdk):
    name = "python"
    _answers = ("create", "stream", "async")

    def __init__(self, args, _background):
        self._directory = args.cache / "python"
        self._program = [self._directory / "bin" / "python", PROGRAMS / "sdk.py"]

    def install(self):
        self.version = pip_install(self._directory, "openai>=3", "from openai import version; print(version.VERSION)")


class NodeSdk(Sdk):
    name = "node"
    _answers = ("create", "stream")

    def __init__(self, args, _background):
        self._directory = args.cache / "node"
        self._program = ["node", PROGRAMS / "sdk.mjs", f"{self._directory}/"]

    def install(self):
        need("node")
        # The newest that runs on this Node.
        major = int(run(["node", "-p", "process.versions.node.split('.')[0]"]).out)
        npm_install(self._directory, f"openai@{7 if major >= 22 else 6}")
        package = self._directory / "node_modules" / "openai" / "package.json"
        self.version = json.loads(package.read_text())["version"]
