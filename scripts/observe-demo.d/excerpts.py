"""What the document shows of each log, as fenced blocks, by the name of its place."""

import json
import re
from pathlib import Path

import fixed

CLEAR_LINE = "\r\x1b[K"
REQUEST_LINE = re.compile(r"\d\d:\d\d:\d\d ")


def fenced(kind, lines):
    return "\n".join([f"```{kind}", *lines, "```"])


def compact(record):
    return json.dumps(record, separators=(",", ":"), ensure_ascii=False)


class Terminal:
    """What the proxy wrote on a terminal: lines, those at the bottom, and those of the end."""

    def __init__(self, recorded):
        self.requests, self.status, self.summary = [], [], []
        text = recorded.decode().replace("\r\n", "\n")
        self.ready = text.split("\n", 1)[0]
        for line in text.split("\n"):
            # What stood at the bottom comes before the line that it makes way for.
            *bottom, line = line.split(CLEAR_LINE)
            self.status += [(len(self.requests), fixed.status_line(text)) for text in bottom if text]
            if REQUEST_LINE.match(line):
                self.requests.append(fixed.text_line(line, len(self.requests) + 1))
            elif self.requests and line:
                self.summary.append(fixed.summary_line(line))


def stored(path):
    with open(path) as file:
        return [fixed.record(json.loads(line)) for line in file]


def access_log(records):
    first = fenced("json", json.dumps(records[0], indent=2).split("\n"))
    others = fenced("json", [compact(records[2]), compact(records[4])])
    return f"{first}\n\n{others}"


def json_lines(path, directory):
    shown = []
    for number, line in enumerate(Path(path).read_text().splitlines()):
        if number < 2:
            # The ready line, and the first that is an object.
            shown.append(fixed.other(line, directory))
        elif '"outcome":"refused"' in line:
            shown.append(compact(fixed.record(json.loads(line))))
    return fenced("json", shown)


def faults(path, directory):
    lines = Path(path).read_text().splitlines()
    return fenced("text", [fixed.other(line, directory) for line in lines if fixed.TS.match(line)])


def metrics(path):
    shown = re.compile(r"codex_proxy_(requests|tokens|cost_usd)_total\{|gen_ai_server_\w+_count")
    lines = Path(path).read_text().splitlines()
    return fenced("text", sorted(fixed.sample(line) for line in lines if shown.match(line)))


def dump(directory):
    """The names of all dumps, and one of them."""
    names, at = [], Path(directory, "dumps")
    for path in sorted(at.iterdir()):
        number, _, kind = path.name.split("-")
        hours, minutes, rest = fixed.REQUESTS[int(number)][0].split(":")
        within = (int(hours) * 60 + int(minutes)) * 60_000 + round(float(rest) * 1000)
        # 2026-11-28 begins then.
        names.append(f"{number}-{1_795_824_000_000 + within}-{kind}")
    (shown,) = at.glob("000002-*-request.json")
    content = [fixed.other(line, directory) for line in shown.read_text().splitlines()]
    return f"{fenced('text', names)}\n\n{fenced('json', content)}"


def audit_log(path, verified, directory):
    lines = Path(path).read_text().splitlines()
    shown = []
    for line in (lines[0], lines[1], lines[3]):
        of = json.loads(line)
        of = fixed.record(of) if "outcome" in of else fixed.start(of)
        shown.append(fixed.other(fixed.hashes(compact(of)), directory))
    said = Path(verified).read_text().splitlines()
    said = [fixed.other(fixed.hashes(line), directory) for line in said]
    return f"{fenced('json', shown)}\n\n{fenced('text', said)}"


def all_of(directory):
    at = Path(directory)
    records = stored(at / "access.log")
    terminal = Terminal((at / "terminal").read_bytes())
    found = {
        "text": fenced("text", terminal.requests + terminal.summary),
        "faults": faults(at / "faults", directory),
        "json": json_lines(at / "json", directory),
        "access-log": access_log(records),
        "metrics": metrics(at / "metrics"),
        "dump": dump(directory),
    }
    if (at / "audit.log").exists():
        found["audit-log"] = audit_log(at / "audit.log", at / "audit.verified", directory)
    return terminal, found
