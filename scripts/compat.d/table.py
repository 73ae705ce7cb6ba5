"""The rows that are printed, and the table of docs/clients.md."""

import datetime
import re

COLUMNS = ["streamed answer", "tool call", "upstream dies in the answer", "refused by the policy (400)", "Chat Completions (403)"]
BEGIN, END = "<!-- compat -->\n", "<!-- end -->"


class Table:
    def __init__(self):
        self.failures, self.skipped = 0, 0
        self._cells = {}

    def row(self, client, via, check, result, detail=""):
        print(f"{client:<20} {via:<8} {check:<22} {result:<8} {detail}", flush=True)
        self.failures += result == "FAILED"
        self.skipped += result == "skipped"

    def cell(self, client, column, text):
        """What the page says of a client in one of COLUMNS; over the first upstream, if it says more than one thing."""
        self._cells.setdefault(client, {}).setdefault(column, text)

    def markdown(self):
        """With the day, so that a reader knows how old it is."""
        lines = [f"Measured on {datetime.date.today()}.", "", *head()]
        for client, cells in self._cells.items():
            lines.append(f"| {' | '.join([client, *(cells.get(column, '-') for column in COLUMNS)])} |")
        return "\n".join(lines) + "\n"


def head():
    return [f"| client | {' | '.join(COLUMNS)} |", "|---" * (len(COLUMNS) + 1) + "|"]


def write_page(file, table):
    page = file.read_text()
    begin, end = _place(page)
    file.write_text(page[:begin] + table.markdown() + page[end:])


def check_page(file, table):
    """Whether a page says what was measured, on whatever day."""
    page = file.read_text()
    begin, end = _place(page)
    return _without_day(page[begin:end]) == _without_day(table.markdown())


def _place(page):
    """Of the table in the text of a page: where it begins and ends."""
    begin = page.index(BEGIN) + len(BEGIN)
    return begin, page.index(END, begin)


def _without_day(table):
    return re.sub(r"^Measured on .*\n", "", table, flags=re.MULTILINE)
