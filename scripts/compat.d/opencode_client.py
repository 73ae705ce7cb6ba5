"""opencode, the agent: a provider of its own in opencode.json."""

import json

from credentials import OWN_KEY
from install import npm_install
from pins import npm_version
from processes import run

# The program itself, which opencode-ai is a wrapper of: not every version of that has all the platforms it names.
PACKAGE = "opencode-linux-x64"
# It tries a cut answer again, after 2, 4, 8, 16 and 30 seconds.
PATIENCE = 180


class OpenCode:
    name, title, version = "opencode", "opencode", npm_version("opencode", PACKAGE)

    def __init__(self, args, background):
        self._cache, self._program = args.cache, None
        self._home = background.tmp / "opencode"

    def install(self):
        self._program = npm_install(self._cache, "opencode") / "node_modules" / PACKAGE / "bin" / "opencode"

    def _run(self, server, npm="@ai-sdk/openai"):
        self._home.mkdir(exist_ok=True)
        provider = {
            "npm": npm,
            "options": {"baseURL": server.url("/v1"), "apiKey": OWN_KEY},
            "models": {"gpt-mock": {}},
        }
        config = {
            "autoupdate": False,
            "share": "disabled",
            "permission": {"bash": "allow"},
            "model": "local-proxy/gpt-mock",
            "provider": {"local-proxy": provider},
        }
        file = self._home / "opencode.json"
        file.write_text(json.dumps(config))
        env = {
            "HOME": str(self._home),
            "OPENCODE_CONFIG": str(file),
            "OPENCODE_DISABLE_AUTOUPDATE": "1",
            "OPENCODE_DISABLE_MODELS_FETCH": "1",
        }
        # With a title, or it asks the model for one.
        argv = [self._program, "run", "--dir", self._home, "--title", "compat", "hi"]
        return run(argv, env, seconds=PATIENCE)

    def check(self, servers, expect):
        expect.streamed("answer, stream", self._run(servers["answer"]))
        expect.called_tool("tool", self._run(servers["calling"]))
        if expect.via == "http":
            # What was said before the cut is not shown without a terminal.
            expect.cut_short("upstream dies", self._run(servers["dying"]), "rror", expected="")
        expect.refused("refusal", self._run(servers["refusing"]))
        expect.refused_chat("chat completions", self._run(servers["answer"], npm="@ai-sdk/openai-compatible"))
