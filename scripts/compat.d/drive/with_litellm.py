"""Drives litellm as a library: with_litellm.py stream|tool|bridge|chat."""

import json
import os
import sys

# Its list of prices is otherwise fetched when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm

TOOL = {
    "type": "function",
    "name": "look_up",
    "parameters": {"type": "object", "properties": {"word": {"type": "string"}}, "required": ["word"]},
}


def look_up(word):
    return f"{word}-{40 + 2}"


def show(messages, **options):
    """Prints what arrives at once, so that an error later does not take it away; returns the calls."""
    calls, last = [], None
    for event in litellm.responses(model="openai/gpt-5", input=messages, stream=True, **options):
        last = event.type
        if event.type == "response.output_text.delta":
            print(event.delta, end="", flush=True)
        if event.type == "response.output_item.done" and event.item.type == "function_call":
            calls.append(event.item)
    assert last == "response.completed", last
    return calls


def call_tool():
    messages = [{"role": "user", "content": "hi"}]
    for call in show(messages, tools=[TOOL]):
        result = look_up(**json.loads(call.arguments))
        messages += [
            {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
            {"type": "function_call_output", "call_id": call.call_id, "output": result},
        ]
    show(messages, tools=[TOOL])


def chat(model):
    """As Chat Completions, which litellm can translate."""
    for chunk in litellm.completion(model=model, messages=[{"role": "user", "content": "hi"}], stream=True):
        print(chunk.choices[0].delta.content or "", end="", flush=True)


try:
    {
        "stream": lambda: show("hi"),
        "tool": call_tool,
        "bridge": lambda: chat("openai/responses/gpt-5"),
        "chat": lambda: chat("openai/gpt-5"),
    }[sys.argv[1]]()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
