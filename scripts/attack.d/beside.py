"""Victims beside an attack: started, left alone with it, and asked how it was for them."""

import os
import select

from attacker import Attacker
from stage import ALICE, URGENT, CannotRun, Seen
from victims import watch

COUNT = 6
EVERY = 0.02


class Victims:
    """Six streams of one user, an event every 20 ms. `begin` returns when all have begun."""

    def __init__(self, stage, port, seconds=4.0, uid=ALICE):
        self.events = int(seconds / EVERY)
        self.begun, begun = os.pipe()
        self.process = Attacker(stage, uid, watch, port, COUNT, self.events, EVERY, begun, nice=URGENT, keep=[begun])
        os.close(begun)

    def begin(self):
        ready = select.select([self.begun], [], [], 15)[0] and os.read(self.begun, 1)
        os.close(self.begun)
        if not ready:
            raise CannotRun("the victims' streams do not begin")
        return self

    def seen(self, what, most_late, usual=0.0):
        """Waits for them to end; broken if one was cut, refused or missed an event, or if the 99th
        percentile of the delays is over `most_late` milliseconds, more than `usual` ones."""
        result = self.process.result(self.events * EVERY * 1.5 + 20)
        whole = result["ends"].count("whole")
        p99 = result["p99"]
        figure = f"{whole} of {COUNT} victims whole"
        others = sorted({end for end in result["ends"] if end != "whole"} | {str(s) for s in result["statuses"] if s not in (0, 200)})
        if others:
            figure += f" ({', '.join(others)})"
        if p99 is not None:
            p99 -= usual
            figure += f", p99 of lateness {p99:.1f} ms, worst {result['worst'] - usual:.1f} ms"
        is_late = p99 is None or p99 > most_late
        seen = Seen(what, figure, whole < COUNT or is_late)
        seen.only_late = whole == COUNT and is_late
        return seen


def steady(attempt):
    """The machine may be late by itself: what is broken by lateness alone is tried up to three times."""
    for _ in range(3):
        seen = attempt()
        if not getattr(seen, "only_late", False):
            break
    return seen
