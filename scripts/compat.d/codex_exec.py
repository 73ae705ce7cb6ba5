"""Our own codex exec, which is always there."""

from codex_home import VARIABLES, CodexHome, check_config
from processes import run, run_reading_events


class CodexExec:
    name, title, version = "exec", "our own `codex exec`", ""

    def __init__(self, args, background):
        self._codex = args.bin / "codex"
        self._home = CodexHome(background.tmp)
        self._env = {**VARIABLES, "CODEX_HOME": str(self._home.path)}

    def install(self):
        self.version = run([self._codex, "--version"]).out.split()[1]

    def _exec(self, arguments, stdin=""):
        return run([self._codex, "exec", *arguments], self._env, stdin)

    def check(self, servers, expect):
        check_config("ours", self._exec, self._home, servers, expect)
        expect.streamed("prompt on stdin", self._exec(["-"], stdin="hi"))
        expect.without("tool", "has no tools")
        expect.without("chat completions", "does not know them")

        self._home.configure(servers["paced"])
        argv = [self._codex, "exec", "--json=events", "hi"]
        expect.paced("pacing", lambda: run_reading_events(argv, self._env))

        self._home.configure(servers["refusing"])
        expect.refused("refusal", self._exec(["hi"]))
        self._home.configure(servers["answer"])
        elsewhere = f"model_providers.local-proxy.base_url={servers['answer'].url('/v2')}"
        outcome = self._exec(["-c", elsewhere, "hi"])
        expect.refused_path("other path", outcome, "POST /v2/responses is not served here")

        self._home.configure(servers["dying"])
        expect.cut_short("upstream dies", self._exec(["hi"]), "cut short")
