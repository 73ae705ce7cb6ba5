"""What the clients make of the refusals of a policy: how often each tries, how long it takes, and what its user sees."""

import hashlib

from codex_cli import PROVIDER, CodexCli
from credentials import OWN_KEY
from curl_client import REQUEST, Curl, post
from openai_sdks import NodeSdk, PythonSdk
from processes import run
from servers import MOCKS, Server

LIMIT = '[everyone]\n[[everyone.limits]]\n{}\nper = "{}"\n'

# A code, the status, a policy that gives it to any request of the clients, and whether one is allowed before.
REFUSALS = [
    ("model_not_allowed", 400, '[everyone]\nmodels = ["gpt-5*"]\n', False),
    ("request_not_allowed", 400, "[everyone]\nrequire_max_output_tokens = true\n", False),
    ("budget_exceeded", 400, LIMIT.format("requests = 1", "month"), True),
    ("price_unknown", 400, LIMIT.format("usd = 1", "month"), False),
    ("caller_not_allowed", 403, "[token.nobody]\n", False),
    ("rate_limited", 429, LIMIT.format("requests = 1", "5s"), True),
]
# A client may try these again.
MAY_BE_TRIED_AGAIN = ("rate_limited", "caller_not_allowed")

HEAD = """\
# What clients make of refusals

`scripts/compat --refusals` makes this page: it drives each client against a proxy with a policy that refuses its request,
and counts the requests in the access log. The proxy gives every refusal `x-should-retry`, which OpenAI's SDKs go by, and
uses 400 for what no other try cures, because Codex tries that once. Seconds include the start of the client.

| code | status | client | tries | seconds | its user sees the message |
|---|---|---|---|---|---|
"""


def codex(client, server):
    settings = ["-c", "model=gpt-mock", "-c", f"{PROVIDER}.request_max_retries=4"]
    client.home.clear()
    return client.exec_through(server.url("/v1"), [*settings, "hi"])


def sdk(client, server):
    return client._run(server, "create")


CLIENTS = [
    (CodexCli, "Codex CLI", codex),
    (PythonSdk, "openai, Python", sdk),
    (NodeSdk, "openai, Node", sdk),
    (Curl, "curl", lambda _, server: run(post(server, REQUEST))),
]


def measure(args, background):
    """The page, and what is wrong."""
    page, wrong, number = [HEAD], [], 0
    clients = [(kind(args, background), title, ask) for kind, title, ask in CLIENTS]
    for client, _, _ in clients:
        client.install()
    for code, status, policy, is_spent_before in REFUSALS:
        for client, title, ask in clients:
            number += 1
            file = background.tmp / f"policy{number}"
            file.write_text(policy)
            # A table for a token needs a file of tokens.
            tokens = background.tmp / f"tokens{number}"
            flags = ["--policy", file]
            if "[token." in policy:
                flags += token_file(tokens)
            server = Server(f"refused{number}", "http", MOCKS["answer"], args.bin, flags, background)
            if is_spent_before:
                run(post(server, REQUEST))
            outcome = ask(client, server)
            refused = server.refusals()
            seen = outcome.out + outcome.err
            message = refused[0].get("message", "") if refused else ""
            shows = bool(message) and message.split(";")[0][:60] in seen
            answer = f"`{code}`, {message}" if shows else "no"
            if outcome.status == 0 and title != "curl":
                answer = "nothing: a later try is answered"
            name = f"{title} {client.version}".strip()
            page.append(f"| `{code}` | {status} | {name} | {len(refused)} | {outcome.took / 1000:.1f} | {answer} |\n")
            if code not in MAY_BE_TRIED_AGAIN and (len(refused) != 1 or not shows):
                wrong.append(f"{code}: {name}: {len(refused)} tries, it shows: {outcome.last_line}")
    return "".join(page), wrong


def token_file(path):
    path.write_text(f"compat:{hashlib.sha256(OWN_KEY.encode()).hexdigest()}\n")
    return ["--client-token-file", str(path)]
