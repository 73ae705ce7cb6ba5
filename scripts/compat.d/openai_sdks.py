"""OpenAI's SDKs for Python and Node, driven by programs in drive/."""

import re

from install import npm_install, pip_install
from libraries import Driven
from pins import DRIVE, npm_version, pip_version


class Sdk(Driven):
    def check(self, servers, expect):
        for check in self._answers:
            expect.answered(f"answer, {check}", self.run(servers["answer"], check))
        expect.paced("pacing", lambda: self._pacing(servers["paced"]))
        expect.refused_path("models", self.run(servers["answer"], "models"), "Models cannot be listed here")
        super().check(servers, expect)

    def _pacing(self, server):
        outcome = self.run(server, "pacing")
        events = re.findall(r"^(\d+) +(\d+)$", outcome.out, re.MULTILINE)
        return outcome, [(int(sent), int(arrived)) for sent, arrived in events]


class PythonSdk(Sdk):
    name, title, version = "python", "openai, Python", pip_version("openai")
    _answers = ("create", "async")

    def install(self):
        self.program = [pip_install(self.cache), DRIVE / "with_openai.py"]


class NodeSdk(Sdk):
    name, title, version = "node", "openai, Node", npm_version("node", "openai")
    _answers = ("create",)

    def install(self):
        self.program = ["node", DRIVE / "with_openai.mjs", f"{npm_install(self.cache, 'node')}/"]
