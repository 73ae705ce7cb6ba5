"""Drives pydantic-ai: with_pydantic_ai.py stream|tool|chat."""

import asyncio
import sys

from pydantic_ai import Agent


def look_up(word: str) -> str:
    """Looks a word up."""
    return f"{word}-{40 + 2}"


async def run(model, tools=()):
    """Prints what arrives at once, so that an error later does not take it away."""
    async with Agent(model, tools=tools).run_stream("hi") as result:
        async for text in result.stream_text(delta=True, debounce_by=None):
            print(text, end="", flush=True)


try:
    asyncio.run(
        {
            "stream": lambda: run("openai-responses:gpt-mock"),
            "tool": lambda: run("openai-responses:gpt-mock", [look_up]),
            "chat": lambda: run("openai-chat:gpt-mock"),
        }[sys.argv[1]]()
    )
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
