"""Drives OpenAI's Python SDK: with_openai.py create|stream|async|pacing|tool|chat|models.

The address and a key come from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program that uses it.
"""

import asyncio
import json
import os
import sys
import time

import openai

REQUEST = {"model": "gpt-mock", "input": "hi"}
HEADERS = {"cookie": os.environ["COMPAT_COOKIE"]}
client = openai.OpenAI(default_headers=HEADERS)


def show(event):
    """Prints what arrives at once, so that an error later does not take it away."""
    if event.type == "response.output_text.delta":
        print(event.delta, end="", flush=True)


def create():
    print(client.responses.create(**REQUEST).output_text)


def stream(**options):
    for event in client.responses.create(**{**REQUEST, **options}, stream=True):
        show(event)
    assert event.type == "response.completed", event.type
    return event.response.output


def look_up(word):
    return f"{word}-{40 + 2}"


TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


def call_tool():
    messages = [{"role": "user", "content": "hi"}]
    for item in stream(input=messages, tools=[TOOL]):
        if item.type == "function_call":
            result = look_up(**json.loads(item.arguments))
            messages += [item, {"type": "function_call_output", "call_id": item.call_id, "output": result}]
    stream(input=messages, tools=[TOOL])


def chat():
    print(client.chat.completions.create(model="gpt-mock", messages=[{"role": "user", "content": "hi"}]))


async def stream_async():
    async with openai.AsyncOpenAI(default_headers=HEADERS) as client:
        async for event in await client.responses.create(**REQUEST, stream=True):
            show(event)
    assert event.type == "response.completed", event.type


def pacing():
    # The SDK takes 30 ms over the first event a process reads: not what is measured here.
    list(client.responses.create(**REQUEST, stream=True))
    for event in client.responses.create(**REQUEST, stream=True):
        if event.type == "response.output_text.delta":
            print(event.delta, time.time_ns() // 1000)


def models():
    client.models.list()


try:
    {
        "create": create,
        "stream": stream,
        "async": lambda: asyncio.run(stream_async()),
        "pacing": pacing,
        "tool": call_tool,
        "chat": chat,
        "models": models,
    }[sys.argv[1]]()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
