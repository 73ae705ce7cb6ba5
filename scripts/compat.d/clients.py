"""Every client, in the order of the table."""

from codex_action import CodexAction
from codex_cli import CodexCli
from codex_exec import CodexExec
from curl_client import Curl
from libraries import AiSdk, AsyncOpenAi, LangChain, LiteLlm, OpenAiAgents, PydanticAi
from llm_client import Llm
from openai_sdks import NodeSdk, PythonSdk
from opencode_client import OpenCode

CLIENTS = {
    client.name: client
    for client in (
        CodexCli,
        CodexExec,
        CodexAction,
        Curl,
        PythonSdk,
        NodeSdk,
        OpenAiAgents,
        LangChain,
        PydanticAi,
        LiteLlm,
        Llm,
        AiSdk,
        OpenCode,
        AsyncOpenAi,
    )
}
