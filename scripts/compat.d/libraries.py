"""Libraries, each driven by a program in drive/ that takes the name of a check."""

from credentials import COOKIE, OWN_KEY
from install import cargo_build, need, npm_install, pip_install
from pins import DRIVE, cargo_version, npm_version, pip_version
from processes import run


class Driven:
    """What a library needs is the base URL and something as a key, from their usual variables."""

    def __init__(self, args, background):
        self.cache, self.tmp, self.program = args.cache, background.tmp, []

    def run(self, server, check):
        env = {"OPENAI_BASE_URL": server.url("/v1"), "OPENAI_API_KEY": OWN_KEY, "COMPAT_COOKIE": COOKIE}
        return run([*self.program, check], env)

    def check(self, servers, expect):
        expect.streamed("answer, stream", self.run(servers["answer"], "stream"))
        expect.called_tool("tool", self.run(servers["calling"], "tool"))
        expect.cut_short("upstream dies", self.run(servers["dying"], "stream"), "rror")
        expect.refused("refusal", self.run(servers["refusing"], "stream"))
        expect.refused_chat("chat completions", self.run(servers["answer"], "chat"))


class OpenAiAgents(Driven):
    name, title, version = "agents", "openai-agents", pip_version("openai-agents")

    def install(self):
        self.program = [pip_install(self.cache), DRIVE / "with_agents.py"]


class LangChain(Driven):
    name, title, version = "langchain", "langchain-openai", pip_version("langchain-openai")

    def install(self):
        self.program = [pip_install(self.cache), DRIVE / "with_langchain.py"]


class PydanticAi(Driven):
    name, title, version = "pydantic-ai", "pydantic-ai", pip_version("pydantic-ai-slim")

    def install(self):
        self.program = [pip_install(self.cache), DRIVE / "with_pydantic_ai.py"]


class LiteLlm(Driven):
    name, title, version = "litellm", "litellm", pip_version("litellm")

    def install(self):
        self.program = [pip_install(self.cache), DRIVE / "with_litellm.py"]

    def check(self, servers, expect):
        super().check(servers, expect)
        expect.answered("answer, bridge", self.run(servers["answer"], "bridge"))


class AiSdk(Driven):
    name, title, version = "ai-sdk", "AI SDK (`ai`)", npm_version("node", "ai")

    def install(self):
        need("node")
        self.program = ["node", DRIVE / "with_ai_sdk.mjs", f"{npm_install(self.cache, 'node')}/"]


class AsyncOpenAi(Driven):
    name, title, version = "async-openai", "async-openai", cargo_version("async-openai")

    def install(self):
        self.program = [cargo_build(self.cache)]
