"""curl: what is on the wire, unread by any library."""

import json
import re

from credentials import COOKIE, OWN_KEY
from install import need
from processes import run, run_reading_events

REQUEST = {"model": "gpt-mock", "input": "hi"}


class Curl:
    name, title, version = "curl", "curl", ""

    def __init__(self, _args, _background):
        pass

    def install(self):
        need("curl")

    def check(self, servers, expect):
        outcome = run(post(servers["answer"], REQUEST))
        expect.answered("answer", outcome, "\n".join(re.findall(r'"text":"([^"]*)"', outcome.out)))

        outcome = run(post(servers["answer"], {**REQUEST, "stream": True}))
        if '"type":"response.completed"' not in outcome.out:
            outcome.status = 1
            outcome.err += "no response.completed\n"
        expect.streamed("answer, stream", outcome, deltas(outcome.out))
        expect.without("tool", "calls nothing")

        argv = [*post(servers["paced"], {**REQUEST, "stream": True}), "--max-time", "30"]
        expect.paced("pacing", lambda: run_reading_events(argv))

        expect.refused("refusal", run([*post(servers["refusing"], REQUEST), "--fail-with-body"]))
        outcome = run(["curl", "-sS", "--fail-with-body", servers["answer"].url("/v1/models")])
        expect.refused_path("models", outcome, "Models cannot be listed here")
        outcome = run([*post(servers["answer"], REQUEST, "/v1/chat/completions"), "--fail-with-body"])
        expect.refused_chat("chat completions", outcome)

        outcome = run(post(servers["dying"], {**REQUEST, "stream": True}))
        expect.cut_short("upstream dies", outcome, ".", deltas(outcome.out))


def post(server, body, path="/v1/responses"):
    headers = ["content-type: application/json", f"authorization: Bearer {OWN_KEY}", f"cookie: {COOKIE}"]
    options = [option for header in headers for option in ("-H", header)]
    return ["curl", "-sSN", server.url(path), *options, "-d", json.dumps(body)]


def deltas(events):
    """The text in server-sent events."""
    return "".join(re.findall(r'"delta":"([^"]*)"', events))
