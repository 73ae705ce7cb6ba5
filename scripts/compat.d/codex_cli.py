"""Codex CLI, OpenAI's own."""

from codex_home import VARIABLES, CodexHome, check_config
from credentials import COOKIE, OWN_KEY
from install import npm_install
from pins import npm_version
from processes import run

PROVIDER = "model_providers.local-proxy"
MODEL = ["-c", "model=gpt-mock"]
# So that a failure does not take a minute.
FEW_RETRIES = ["-c", f"{PROVIDER}.stream_max_retries=1", "-c", f"{PROVIDER}.request_max_retries=1"]


class CodexCli:
    name, title, version = "codex", "Codex CLI", npm_version("codex", "@openai/codex")

    def __init__(self, args, background):
        self._cache, self._directory = args.cache, None
        self.home = CodexHome(background.tmp)

    def install(self):
        self._directory = npm_install(self._cache, "codex")

    def exec(self, arguments, env=None):
        program = self._directory / "node_modules" / ".bin" / "codex"
        argv = [program, "exec", "--skip-git-repo-check", "-C", self.home.path, *arguments]
        return run(argv, {"CODEX_HOME": str(self.home.path), **(env or {})})

    def exec_through(self, base_url, arguments, websockets="false"):
        """With the flags that the documentation tells users to give."""
        # Codex sends no Authorization to a provider without env_key or experimental_bearer_token.
        provider = f"{{name='local-proxy',base_url='{base_url}',wire_api='responses',supports_websockets={websockets}}}"
        settings = [
            "model_provider=local-proxy",
            f"{PROVIDER}={provider}",
            f"{PROVIDER}.experimental_bearer_token='{OWN_KEY}'",
            f"{PROVIDER}.http_headers={{cookie='{COOKIE}'}}",
        ]
        return self.exec([option for setting in settings for option in ("-c", setting)] + arguments)

    def check(self, servers, expect):
        answer = servers["answer"]
        self.home.clear()
        expect.streamed("answer", self.exec_through(answer.url("/v1"), ["hi"]))
        expect.answered("answer, resume", self.exec_through(answer.url("/v1"), ["resume", "--last", "again"]))

        self.home.clear()
        outcome = self.exec_through(answer.url("/v1"), ["hi"], websockets="true")
        # It says so, and only when it tried one.
        if "failed to connect to Responses WebSocket" in outcome.err:
            expect.answered("WebSocket first", outcome, limit=5000)
        else:
            expect.failed("WebSocket first", f"it did not try one: exit {outcome.status}: {outcome.last_line}")
            answer.forget()

        check_config("OpenAI", lambda arguments: self.exec(arguments, VARIABLES), self.home, servers, expect)

        self.home.clear()
        # The models that it knows are given their tools in another way, which is not a function call.
        run_command = [*MODEL, "--dangerously-bypass-approvals-and-sandbox", "hi"]
        expect.called_tool("tool", self.exec_through(servers["calling"].url("/v1"), run_command))
        expect.refused("refusal", self.exec_through(servers["refusing"].url("/v1"), [*MODEL, "hi"]))
        outcome = self.exec_through(answer.url("/v2"), [*FEW_RETRIES, "hi"])
        expect.refused_path("other path", outcome, "POST /v2/responses is not served here", tries=2)
        outcome = self.exec_through(servers["dying"].url("/v1"), [*FEW_RETRIES, "hi"])
        # It shows no text before the end of an answer.
        expect.cut_short("upstream dies", outcome, "^ERROR.*stream", expected="")
        expect.without("chat completions", "does not know them")
