"""Answers that servers of every kind give, and where ours makes something else of one on purpose."""

import json

from answer_server import Reply

USAGE = {
    "input_tokens": 12,
    "input_tokens_details": {"cached_tokens": 3},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 1},
    "total_tokens": 17,
}


def event(kind, **fields):
    data = json.dumps({"type": kind, **fields})
    return f"event: {kind}\ndata: {data}\n\n"


def created(name="resp_1"):
    return event("response.created", response={"id": name})


def delta(text, index=0):
    return event("response.output_text.delta", output_index=index, content_index=0, item_id="msg_1", delta=text)


def message(*parts, **fields):
    content = [part if isinstance(part, dict) else {"type": "output_text", "text": part} for part in parts]
    return {"type": "message", "role": "assistant", "id": "msg_1", "content": content, **fields}


def done(item, index=0):
    return event("response.output_item.done", output_index=index, item=item)


def added(item, index=0):
    return event("response.output_item.added", output_index=index, item=item)


def completed(name="resp_1", **fields):
    return event("response.completed", response={"id": name, "usage": USAGE, **fields})


def failed(code, text="it broke"):
    return event("response.failed", response={"id": "resp_1", "error": {"code": code, "message": text}})


def text(words="Hello world"):
    return created() + delta(words) + done(message(words)) + completed()


def stream(*events, cut=None, kind="text/event-stream"):
    return Reply(200, {"content-type": kind}, "".join(events).encode(), cut)


def refused(status, body, **fields):
    fields = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in fields.items()}}
    return Reply(status, fields, json.dumps(body).encode())


def error(status, code, words="it broke", **fields):
    return refused(status, {"error": {"message": words, "type": "t", "code": code}}, **fields)


GOOD = stream(text())
CUT = stream(created(), cut="short")
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed",
          "action": {"type": "search", "query": "what is x", "queries": ["what is x"]}}
ACTIONS = [
    {"type": "open_page", "url": "https://example.org/a"},
    {"type": "find_in_page", "url": "https://example.org/a", "pattern": "b c"},
    {"type": "search", "queries": ["one", "two"]},
    {"type": "search", "queries": ["one"]},
    {"type": "search", "query": "", "queries": []},
    {"type": "scroll"},
]
REASONING = {"type": "reasoning", "id": "rs_1",
             "summary": [{"type": "summary_text", "text": "**A** one"}, {"type": "summary_text", "text": "**B** two"}]}

STREAMS = "ours streams: what was shown stays, and is not asked for again"
MORE_WORDS = "ours is an error where there is no text"
ONCE = "ours does not ask again what would be refused again"

# Name, replies, and unless both make the same of it: what differs (stdout, json, exit) and why.
ANSWERS = [
    ("text", [GOOD]),
    ("text that ends in a newline", [stream(text("Hello\n"))]),
    ("several lines and Unicode", [stream(text("Grüße,\n\n世界 🎉\tend"))]),
    ("one message of two parts", [stream(created(), done(message("a", "b")), completed())]),
    ("item done, without deltas", [stream(created(), done(message("Hello")), completed())]),
    ("reasoning summary, then text", [stream(created(), done(REASONING), done(message("x"), 1), completed())]),
    ("reasoning without a summary", [stream(created(), done({**REASONING, "summary": []}), done(message("x"), 1), completed())]),
    ("web search, then text", [stream(created(), added({**SEARCH, "status": "in_progress"}), done(SEARCH), done(message("x"), 1), completed())]),
    ("web search that says late for what", [stream(created(), added({"type": "web_search_call", "id": "ws_1", "status": "in_progress"}), done(SEARCH), done(message("x"), 1), completed())]),
    ("two web searches at once", [stream(created(), *(added({**SEARCH, "id": name}) for name in "ab"), *(done({**SEARCH, "id": name}) for name in "ba"), done(message("x"), 9), completed())],
     {"json"}, "Codex begins the first of them once more"),
    ("web search: pages, words, several queries", [stream(created(), *(done({**SEARCH, "action": action}) for action in ACTIONS), done(message("x"), 9), completed())]),
    ("ids of created and completed differ", [stream(created("a"), delta("x"), done(message("x")), completed("b"))]),
    ("unknown events and comments between", [stream(created(), ": ping\n\n", event("response.new", x=1), delta("x"), done(message("x")), completed())]),
    ("data: {}, data: ping, empty data", [stream(created(), "data: {}\n\ndata: ping\n\ndata:\n\n", delta("x"), done(message("x")), completed())]),
    ("[DONE] after the end", [stream(text(), "data: [DONE]\n\n")]),
    ("labelled application/json", [stream(text(), kind="application/json")]),
    ("no created", [stream(delta("x"), done(message("x")), completed())]),
    ("no usage", [stream(created(), delta("x"), done(message("x")), event("response.completed", response={"id": "resp_1"}))]),
    ("two messages", [stream(created(), delta("one"), done(message("one")), delta("two", 1), done(message("two"), 1), completed())],
     {"stdout"}, "ours streams both; Codex prints the last one. -o has the last one"),
    ("incomplete: max_output_tokens", [stream(created(), delta("Hel"), done(message("Hel")), event("response.incomplete", response={"id": "resp_1", "incomplete_details": {"reason": "max_output_tokens"}}))],
     {"stdout"}, "ours shows the part"),
    ("failed: rate_limit_exceeded, then text", [stream(created(), failed("rate_limit_exceeded", "try again in 10ms")), GOOD]),
    ("failed: server_error, then text", [stream(created(), failed("server_error")), GOOD]),
    ("failed: server_error, always", [stream(created(), failed("server_error"))]),
    ("failed: context_length_exceeded", [stream(created(), failed("context_length_exceeded"))]),
    ("failed: insufficient_quota", [stream(created(), failed("insufficient_quota"))]),
    ("cut before the text, then text", [CUT, GOOD]),
    ("cut before the text, always", [CUT]),
    ("200 with an empty body, then text", [stream(), GOOD]),
    ("500 once, then text", [error(500, "oops"), GOOD]),
    ("429 with retry-after: 0, then text", [error(429, "rate_limit_exceeded", retry_after="0"), GOOD]),
    ("429 without a time", [error(429, "slow_down")]),
    ("400", [error(400, "bad_request")]),
    ("401", [error(401, "invalid_api_key")], {"json"}, ONCE),
    ("404", [error(404, "not_found")], {"json"}, ONCE),
    ("a refusal", [stream(created(), done(message({"type": "refusal", "refusal": "no"})), completed())],
     {"json", "exit"}, "ours says it and is an error; Codex loses it"),
    ("completed without any item", [stream(created(), completed())], {"json", "exit"}, MORE_WORDS),
    ("deltas without item done", [stream(created(), delta("x"), completed())], {"stdout", "json"}, "ours shows the text; Codex loses it"),
    ("cut in the text", [stream(created(), delta("Hel"), cut="short"), GOOD], {"stdout", "exit"}, STREAMS),
]
