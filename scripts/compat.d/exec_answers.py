"""The same answers for Codex CLI and for our own codex exec: what each makes of them, side by side."""

import json

from answer_server import AnswerServer
from exec_timings import timings
from install import npm_install
from processes import run
from scripted_answers import ANSWERS
from table import Table

CONFIG = """\
model = "gpt-mock"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "{url}"
wire_api = "responses"
supports_websockets = false
request_max_retries = {retries}
stream_max_retries = {retries}
stream_idle_timeout_ms = 20000
"""
RETRIES = 2
# The server is on this host: no proxy of the environment is to be asked.
ENVIRONMENT = {"NO_PROXY": "127.0.0.1", "CODEX_CA_CERTIFICATE": ""}


class Client:
    """One of the two, with a home of its own."""

    def __init__(self, name, argv, home, url):
        self.name, self._argv, self.home = name, argv, home
        home.mkdir()
        (home / "config.toml").write_text(CONFIG.format(url=url, retries=RETRIES))

        self.environment = {**ENVIRONMENT, "CODEX_HOME": str(home)}

    def command(self, *flags):
        return [*self._argv, "exec", "--skip-git-repo-check", "--ephemeral", "-C", self.home, *flags, "hi"]

    def run(self, *flags):
        return run(self.command(*flags), self.environment)


def fields(value):
    """The names of fields, and of those below them: what a reader of events relies on."""
    if isinstance(value, dict):
        return {name: fields(below) for name, below in value.items()}
    return [fields(item) for item in value] if isinstance(value, list) else None


def comparable(event):
    """An event without what is never the same twice: ids, and the words of errors, which are each client's own."""
    if event["type"] in ("error", "turn.failed", "thread.started"):
        return event["type"], fields(event)
    return event


def events(outcome):
    """What is to be compared, with items counted anew: of a model that is a mock Codex says first that it does not know it."""
    known, compared = {}, []
    for event in map(json.loads, outcome.out.splitlines()):
        item = event.get("item", {})
        if item.get("type") == "error":
            continue
        if item.get("type") == "web_search":
            # Codex writes its own id and then the server's; of two a reader keeps the last.
            item["id"] = "search"
        if "id" in item:
            item["id"] = known.setdefault(item["id"], len(known))
        compared.append(comparable(event))
    return compared


def compare(clients, server, replies):
    """What differs, and for each client its exit code and requests."""
    plain, as_json, details = [], [], []
    for client in clients:
        server.script(replies)
        plain.append(client.run())
        details.append(f"{client.name} {plain[-1].status}/{server.requests}")
        server.script(replies)
        as_json.append(client.run("--json"))
    differs = set()
    if plain[0].out != plain[1].out:
        differs.add("stdout")
    if events(as_json[0]) != events(as_json[1]):
        differs.add("json")
    if any(runs[0].status != runs[1].status for runs in (plain, as_json)) or plain[1].status != as_json[1].status:
        differs.add("exit")
    return differs, ", ".join(details), plain, as_json


def check_answers(args, background):
    """The whole table; the exit code."""
    directory = npm_install(args.cache, "codex")
    # The program itself, not the Node script that starts it.
    theirs = next(path for path in directory.glob("**/bin/codex") if path.is_file() and not path.is_symlink())
    server, table = AnswerServer(), Table()
    clients = [
        Client("Codex", [theirs], background.tmp / "theirs", server.url),
        Client("ours", [args.bin / "codex"], background.tmp / "ours", server.url),
    ]
    print(f"{'ANSWER':<42} {'RESULT':<8} exit code/requests; what differs")
    for name, replies, *reason in ANSWERS:
        expected, why = reason or (set(), "")
        differs, detail, *runs = compare(clients, server, replies)
        result = "FAILED" if differs != expected else "ours" if differs else "same"
        shown = f"{detail}; {', '.join(sorted(differs))}: {why}" if differs else detail
        table.failures += result == "FAILED"
        print(f"{name:<42} {result:<8} {shown}", flush=True)
        if result == "FAILED":
            for outcome in (run for pair in runs for run in pair):
                print(f"    exit {outcome.status}: {outcome.out!r} {outcome.last_line}")
    timings(clients, server)
    return 1 if table.failures else 0
