"""Codex CLI, OpenAI's own."""

from codex_home import VARIABLES, CodexHome, check_config
from credentials import COOKIE, OWN_KEY
from install import npm_install
from processes import run

PROVIDER = "model_providers.local-proxy"
# So that a failure does not take a minute.
FEW_RETRIES = ["-c", f"{PROVIDER}.stream_max_retries=1", "-c", f"{PROVIDER}.request_max_retries=1"]


class CodexCli:
    name, version = "codex", ""

    def __init__(self, args, background):
        self._wanted, self._directory = args.codex_cli, args.cache / "codex"
        self.home = CodexHome(background.tmp)

    def install(self):
        npm_install(self._directory, f"@openai/codex@{self._wanted}")
        self.version = self._wanted

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
        answer, dying = servers["answer"], servers["dying"]
        self.home.clear()
        expect.answered("answer", self.exec_through(answer.url("/v1"), ["hi"]))
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
        outcome = self.exec_through(answer.url("/v2"), [*FEW_RETRIES, "hi"])
        expect.refused("refusal", outcome, "POST /v2/responses is not served here")
        outcome = self.exec_through(dying.url("/v1"), [*FEW_RETRIES, "hi"])
        # It shows no text before the end of an answer.
        expect.cut_short("upstream dies", outcome, "^ERROR.*stream", expected="")
