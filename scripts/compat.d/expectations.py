"""What has to be true after a run of a client, and the row that says so."""

import json
import re

from credentials import KEY, MARKER
from processes import HUNG
from servers import CUT_ANSWER, PACED_EVENTS, TOOL_RESULT, WHOLE_ANSWER
from table import COLUMNS

STREAMED, TOOL, CUT, REFUSED, CHAT = COLUMNS
POLICY_MESSAGE = "is not allowed for"
CHAT_MESSAGE = "Use the Responses API instead of Chat Completions"

# In microseconds.
LATEST_EVENT = 20_000
PACED_RUNS = 5


def text_of(printed):
    """An answer as a client printed it: it may end with a line end, and lose the space of the last word."""
    return printed.rstrip("\n").removesuffix(" ")


class Expectations:
    """Of one client, over one kind of upstream."""

    def __init__(self, table, client, via, servers):
        self._table, self.via, self._servers = table, via, servers
        self._client = f"{client.name} {client.version}".strip()
        self._title = f"{client.title} {client.version}".strip()

    def _row(self, check, result, detail):
        self._table.row(self._client, self.via, check, result, detail)

    def ok(self, check, detail, column=None, cell=""):
        self._row(check, "ok", detail)
        if column:
            self._table.cell(self._title, column, cell)

    def without(self, check, why):
        """There is nothing to check."""
        self.ok(check, why, {"tool": TOOL, "chat completions": CHAT}[check], "-")

    def failed(self, check, detail):
        self._row(check, "FAILED", detail)

    def skipped(self, check, reason):
        self._row(check, "skipped", reason)

    def streamed(self, check, outcome, text=None):
        """As `answered`, of a request for a stream."""
        requests = self._servers["answer"].received()
        if not all(json.loads(json.loads(request)["body"]).get("stream") is True for request in requests):
            self.failed(check, "it did not ask for a stream")
            self._servers["answer"].forget()
            return
        self.answered(check, outcome, text, column=STREAMED)

    def answered(self, check, outcome, text=None, limit=120_000, column=None):
        """The whole answer, for one request with the key; `text` is what was printed unless given, `limit` milliseconds."""
        text = text_of(outcome.out if text is None else text)
        wrong = wrong_upstream(self._servers["answer"].received(), requests=1)
        self._servers["answer"].forget()
        if outcome.status:
            self.failed(check, f"exit {outcome.status}: {outcome.last_line}")
        elif text != text_of(WHOLE_ANSWER):
            self.failed(check, f"answer: {text}")
        elif wrong:
            self.failed(check, wrong)
        elif outcome.took > limit:
            self.failed(check, f"answered only after {outcome.took} ms")
        else:
            self.ok(check, f"whole, one request with the key alone, {outcome.took} ms", column, "whole")

    def called_tool(self, check, outcome, text=None):
        """Two requests with the key, of which the second has what the function returned; then the whole answer."""
        calling = self._servers["calling"]
        requests = calling.received()
        calling.forget()
        wrong = wrong_upstream(requests, requests=2)
        text = text_of(outcome.out if text is None else text)
        if outcome.status:
            self.failed(check, f"exit {outcome.status}: {outcome.last_line}")
        elif wrong:
            self.failed(check, wrong)
        elif TOOL_RESULT not in results_in(requests[1]):
            self.failed(check, f"it did not send {TOOL_RESULT} back: {results_in(requests[1])[:100]}")
        elif not text.endswith(text_of(WHOLE_ANSWER)):
            self.failed(check, f"answer: {text}")
        else:
            self.ok(check, f"called, its result sent back, answered, {outcome.took} ms", TOOL, "called, and answered with its result")

    def paced(self, check, run):
        """Every event when it was sent; `run` gives an outcome, and of each event when it was sent and when it arrived."""
        # A machine that is busy delays the events of one run or another; a proxy that holds them back those of all.
        for _ in range(PACED_RUNS):
            outcome, events = run()
            worst = max([0, *(arrived - sent for sent, arrived in events)])
            if outcome.status or len(events) != PACED_EVENTS:
                self.failed(check, f"{len(events)} of {PACED_EVENTS} events, exit {outcome.status}: {outcome.last_line}")
                return
            if worst <= LATEST_EVENT:
                self.ok(check, f"{PACED_EVENTS} events, the worst {worst / 1000:.1f} ms after it was sent")
                return
        self.failed(check, f"an event came {worst // 1000} ms after it was sent, and one as late in each of {PACED_RUNS} runs")

    def refused(self, check, outcome):
        """The client shows the message of the proxy whose policy it does not pass, and ends after one try."""
        self._refused(check, outcome, self._servers["refusing"], POLICY_MESSAGE, 1, REFUSED)

    def refused_path(self, check, outcome, message, tries=1):
        """The client shows the proxy's 403 for another path, and ends after so many tries."""
        self._refused(check, outcome, self._servers["answer"], message, tries)

    def refused_chat(self, check, outcome, tries=1):
        """As `refused_path`, of Chat Completions: the client shows what to do instead."""
        self._refused(check, outcome, self._servers["answer"], CHAT_MESSAGE, tries, CHAT)

    def _refused(self, check, outcome, server, message, tries, column=None):
        refusals = server.refusals()
        upstream = server.received()
        server.forget()
        if outcome.status in (0, HUNG) or message not in outcome.out + outcome.err:
            self.failed(check, f"exit {outcome.status}: {outcome.last_line}")
        elif upstream:
            self.failed(check, "it went upstream all the same")
        elif len(refusals) != tries:
            self.failed(check, f"{len(refusals)} tries instead of {tries}")
        else:
            number = f"{tries} {'try' if tries == 1 else 'tries'}"
            detail = f"exit {outcome.status} after {number} and {outcome.took} ms, shows: {message}"
            self.ok(check, detail, column, f"{number}, shows the message")

    def cut_short(self, check, outcome, reason, text=None, expected=CUT_ANSWER):
        """The client has what was sent, knows that it is not all, says so in a line with `reason`, and ends by itself."""
        text = text_of(outcome.out if text is None else text)
        reasons = [line for line in outcome.err.splitlines() if re.search(reason, line)]
        if outcome.status == HUNG:
            self.failed(check, "hangs")
        elif outcome.status == 0:
            self.failed(check, "takes it for a complete answer")
        elif text != text_of(expected):
            self.failed(check, f"of '{text_of(expected)}' it got: {text}")
        elif not reasons:
            self.failed(check, f"exit {outcome.status}: {outcome.last_line}")
        else:
            dying = self._servers["dying"]
            tries = len(dying.received())
            again = "" if tries == 1 else f" after {tries} tries"
            self.ok(check, f"exit {outcome.status}{again} after {outcome.took} ms: {reasons[-1][:100]}", CUT,
                    f"an error{again}: `{plain(reasons[-1])}`")
        self._servers["dying"].forget()


def plain(line):
    """A line of a client without colours, for a cell; what may differ from run to run is left out."""
    line = re.sub(r"\x1b\[[0-9;]*m|`", "", line).replace("|", "/").strip()
    return re.sub(r"(\d{1,3}\.){3}\d{1,3}:\d+|\b\d{4}-\d\d-\d\dT\S+\s*", "", line)[:90]


def results_in(request):
    """What functions returned, in a request as the mock upstream records it."""
    body = json.loads(json.loads(request)["body"])
    outputs = [item.get("output") for item in body["input"] if item.get("type") == "function_call_output"]
    return json.dumps(outputs)


def wrong_upstream(received, requests):
    """What is wrong with what went upstream, or None: there have to be so many requests, each with one Authorization,
    the proxy's, and nothing of the client's own."""
    if len(received) != requests:
        return f"{len(received)} requests upstream instead of {requests}"
    for request in received:
        headers = json.loads(request)["headers"]
        credentials = [value for name, value in headers if name.lower() == "authorization"]
        if credentials != [f"Bearer {KEY}"]:
            return f"Authorization upstream: {', '.join(credentials) or 'none'}"
        if MARKER in request:
            return "the client's own Authorization or Cookie went upstream"
    return None
