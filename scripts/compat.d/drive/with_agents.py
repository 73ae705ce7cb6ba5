"""Drives openai-agents: with_agents.py stream|tool|chat."""

import asyncio
import sys

from agents import Agent, Runner, function_tool, set_default_openai_api, set_tracing_disabled

# Traces go to api.openai.com whatever OPENAI_BASE_URL says, and with the API key of the environment.
set_tracing_disabled(True)


@function_tool
def look_up(word: str) -> str:
    """Looks a word up."""
    return f"{word}-{40 + 2}"


async def run(tools):
    """Prints what arrives at once, so that an error later does not take it away."""
    result = Runner.run_streamed(Agent(name="compat", model="gpt-mock", tools=tools), "hi")
    async for event in result.stream_events():
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
            print(event.data.delta, end="", flush=True)


def chat():
    set_default_openai_api("chat_completions")
    asyncio.run(run([]))


try:
    {"stream": lambda: asyncio.run(run([])), "tool": lambda: asyncio.run(run([look_up])), "chat": chat}[sys.argv[1]]()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
