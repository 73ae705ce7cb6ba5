"""How long Codex CLI and our own codex exec take to the first byte on standard output, with a server that answers at once."""

import os
import statistics
import subprocess
import time

from scripted_answers import GOOD

RUNS = 20


def first_byte_and_exit(argv, env):
    """In milliseconds since the start of the process."""
    began = time.monotonic()
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env) as process:
        process.stdout.read(1)
        first = time.monotonic() - began
        process.stdout.read()
        process.wait()
    return first * 1000, (time.monotonic() - began) * 1000


def timings(clients, server):
    """Prints a row for each client and format: the median, the least and the last but one of 20 runs, taken in turns."""
    server.script([GOOD])
    print(f"\n{'TIMING':<42} {'CLIENT':<8} first byte on standard output, exit: median (least to 19th of {RUNS}), ms")
    for name, flags in (("text", []), ("--json", ["--json"])):
        taken = {client.name: [] for client in clients}
        for turn in range(RUNS + 1):
            for client in clients:
                one = first_byte_and_exit(client.command(*flags), {**os.environ, **client.environment})
                # The first run fills caches.
                taken[client.name] += [one] if turn else []
        for client, runs in taken.items():
            columns = [sorted(column) for column in zip(*runs)]
            shown = [f"{statistics.median(ms):.1f} ({ms[0]:.1f}-{ms[-2]:.1f})" for ms in columns]
            print(f"{name:<42} {client:<8} {', '.join(shown)}", flush=True)
