"""Drives langchain-openai: with_langchain.py stream|tool|chat."""

import sys

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

responses = ChatOpenAI(model="gpt-mock", use_responses_api=True)


@tool
def look_up(word: str) -> str:
    """Looks a word up."""
    return f"{word}-{40 + 2}"


def show(model, messages):
    """Prints what arrives at once, so that an error later does not take it away; returns all of it."""
    whole = None
    for chunk in model.stream(messages):
        print(chunk.text, end="", flush=True)
        whole = chunk if whole is None else whole + chunk
    return whole


def call_tool():
    model, messages = responses.bind_tools([look_up]), [HumanMessage("hi")]
    called = show(model, messages)
    results = [look_up.invoke(call) for call in called.tool_calls]
    show(model, [*messages, called, *results])


try:
    {
        "stream": lambda: show(responses, "hi"),
        "tool": call_tool,
        "chat": lambda: show(ChatOpenAI(model="gpt-mock", use_responses_api=False), "hi"),
    }[sys.argv[1]]()
except Exception as error:
    sys.exit(f"{type(error).__name__}: {error}")
