"""llm, the command-line program: for an address, it needs no configuration."""

from credentials import OWN_KEY
from install import pip_install
from pins import pip_version
from processes import run

FUNCTION = '''\
def look_up(word: str) -> str:
    "Looks a word up."
    return f"{word}-{40 + 2}"
'''


class Llm:
    name, title, version = "llm", "llm", pip_version("llm")

    def __init__(self, args, background):
        self._cache, self._home, self._program = args.cache, background.tmp / "llm", None

    def install(self):
        self._program = pip_install(self._cache).with_name("llm")

    def _run(self, server, *options):
        argv = [self._program, "openai", "endpoint", server.url("/v1"), "-m", "gpt-mock", "--key", OWN_KEY, *options, "hi"]
        return run(argv, {"LLM_USER_PATH": str(self._home)})

    def check(self, servers, expect):
        expect.streamed("answer, stream", self._run(servers["answer"], "--responses"))
        called = self._run(servers["calling"], "--responses", "--functions", FUNCTION)
        expect.called_tool("tool", called)
        expect.cut_short("upstream dies", self._run(servers["dying"], "--responses"), "rror")
        expect.refused("refusal", self._run(servers["refusing"], "--responses"))
        expect.refused_chat("chat completions", self._run(servers["answer"]))
