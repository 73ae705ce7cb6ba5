"""Drives OpenAI's Python SDK: sdk.py create|stream|async|pacing|refusal.

The address and a key come from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program that uses it.
"""

import asyncio
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


def stream():
    for event in client.responses.create(**REQUEST, stream=True):
        show(event)
    assert event.type == "response.completed", event.type


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


def refusal():
    client.models.list()


try:
    {
        "create": create,
        "stream": stream,
        "async": lambda: asyncio.run(stream_async()),
        "pacing": pacing,
        "refusal": refusal,
    }[sys.argv[1]]()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
