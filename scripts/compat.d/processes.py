"""Programs: clients, which run to their end, and servers, which run in the background."""

import dataclasses
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time

# The status of a client that hung and was stopped, as of timeout(1).
HUNG = 124


class CannotRun(Exception):
    """A server does not start: nothing can be said about any client."""


@dataclasses.dataclass
class Outcome:
    """How a client ended; `took` in milliseconds."""

    status: int
    took: int
    out: str
    err: str

    @property
    def last_line(self):
        return last_line(self.err)


def last_line(text):
    """The last thing that was said, for a row."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1][:160] if lines else ""


def stop(process):
    """Ends it, if need be with SIGKILL."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _exit_status(process):
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _text(file):
    file.seek(0)
    return file.read().decode(errors="replace")


def run(argv, env=None, stdin="", seconds=120):
    """Runs a client to its end. It stays in this process group, so that Ctrl-C reaches it."""
    # Files: a pipe would stay open as long as any process that the client leaves behind.
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=given, stdout=out, stderr=err, env={**os.environ, **(env or {})})
        try:
            process.wait(seconds)
            status = _exit_status(process)
        except subprocess.TimeoutExpired:
            status = HUNG
        finally:
            stop(process)
        took = int((time.monotonic() - began) * 1000)
        return Outcome(status, took, _text(out), _text(err))


# The mock upstream writes into each event when it was sent, in microseconds of Unix time.
STAMPED_EVENT = re.compile(rb'"delta":"([0-9]+)')


def run_reading_events(argv, env=None, seconds=30):
    """Runs a client that prints events as they arrive; with the outcome, (sent, printed) of each event, in microseconds."""
    events, hung = [], threading.Event()
    with tempfile.TemporaryFile() as err:
        began = time.monotonic()
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, env={**os.environ, **(env or {})}
        )

        def give_up():
            hung.set()
            stop(process)

        timer = threading.Timer(seconds, give_up)
        timer.start()
        try:
            for line in process.stdout:
                if stamped := STAMPED_EVENT.search(line):
                    events.append((int(stamped[1]), time.time_ns() // 1000))
            process.wait()
        finally:
            timer.cancel()
            stop(process)
            process.stdout.close()
        took = int((time.monotonic() - began) * 1000)
        return Outcome(HUNG if hung.is_set() else _exit_status(process), took, "", _text(err)), events


class Background:
    """Servers, and a temporary directory for all: both are gone when the block ends."""

    def __enter__(self):
        self.tmp = pathlib.Path(tempfile.mkdtemp(prefix="compat."))
        self._processes = []
        return self

    def __exit__(self, *_):
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            stop(process)
        shutil.rmtree(self.tmp, ignore_errors=True)

    def start(self, argv, log, stdin=subprocess.DEVNULL, env=None):
        """Starts a server whose output goes to a file."""
        with open(log, "wb") as out:
            process = subprocess.Popen(argv, stdin=stdin, stdout=out, stderr=out, env={**os.environ, **(env or {})})
        self._processes.append(process)
        return process


def wait_for(path, process, seconds=10):
    """Whether there comes to be something in the file, before the process ends."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if path.exists() and path.stat().st_size:
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return False
