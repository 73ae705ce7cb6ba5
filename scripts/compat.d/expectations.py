"""What has to be true after a run of a client, and the row that says so."""

import json
import re

from credentials import KEY, MARKER
from processes import HUNG
from servers import CUT_ANSWER, PACED_EVENTS, WHOLE_ANSWER

# In microseconds.
LATEST_EVENT = 20_000


def text_of(printed):
    """An answer as a client printed it: it may end with a line end, and lose the space of the last word."""
    return printed.rstrip("\n").removesuffix(" ")


class Expectations:
    """Of one client, over one kind of upstream."""

    def __init__(self, table, client, via, servers):
        self._table, self._client, self.via, self._servers = table, client, via, servers

    def _row(self, check, result, detail):
        self._table.row(self._client, self.via, check, result, detail)

    def ok(self, check, detail):
        self._row(check, "ok", detail)

    def failed(self, check, detail):
        self._row(check, "FAILED", detail)

    def skipped(self, check, reason):
        self._row(check, "skipped", reason)

    def answered(self, check, outcome, text=None, limit=60_000):
        """The whole answer, for one request with the key; `text` is what was printed unless given, `limit` milliseconds."""
        text = text_of(outcome.out if text is None else text)
        wrong = wrong_upstream(self._servers["answer"])
        if outcome.status:
            self.failed(check, f"exit {outcome.status}: {outcome.last_line}")
        elif text != text_of(WHOLE_ANSWER):
            self.failed(check, f"answer: {text}")
        elif wrong:
            self.failed(check, wrong)
        elif outcome.took > limit:
            self.failed(check, f"answered only after {outcome.took} ms")
        else:
            self.ok(check, f"whole, one request with the key alone, {outcome.took} ms")

    def paced(self, check, outcome, events):
        """Every event when it was sent; `events` are (sent, arrived)."""
        worst = max([0, *(arrived - sent for sent, arrived in events)])
        if outcome.status or len(events) != PACED_EVENTS:
            self.failed(check, f"{len(events)} of {PACED_EVENTS} events, exit {outcome.status}: {outcome.last_line}")
        elif worst > LATEST_EVENT:
            self.failed(check, f"an event came {worst // 1000} ms after it was sent")
        else:
            self.ok(check, f"{PACED_EVENTS} events, the worst {worst / 1000:.1f} ms after it was sent")

    def refused(self, check, outcome, message):
        """The client shows the proxy's 403 and its message, and ends; nothing went upstream."""
        answer = self._servers["answer"]
        shown = outcome.out + outcome.err
        if outcome.status in (0, HUNG) or "403" not in shown or message not in shown:
            self.failed(check, f"exit {outcome.status}: {outcome.last_line}")
        elif answer.received():
            self.failed(check, "it went upstream all the same")
        else:
            self.ok(check, f"exit {outcome.status} after {outcome.took} ms, shows: {message}")
        answer.forget()

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
            self.ok(check, f"exit {outcome.status} after {outcome.took} ms: {reasons[-1][:100]}")


def wrong_upstream(server):
    """What is wrong with what went upstream, or None: it has to be one request, with one Authorization, the
    proxy's, and nothing of the client's own."""
    requests = server.received()
    server.forget()
    if len(requests) != 1:
        return f"{len(requests)} requests upstream instead of one"
    headers = json.loads(requests[0])["headers"]
    credentials = [value for name, value in headers if name.lower() == "authorization"]
    if credentials != [f"Bearer {KEY}"]:
        return f"Authorization upstream: {', '.join(credentials) or 'none'}"
    if MARKER in requests[0]:
        return "the client's own Authorization or Cookie went upstream"
    return None
