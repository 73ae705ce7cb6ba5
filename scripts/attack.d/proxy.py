"""The proxy under attack: started, asked what it says, ended."""

import os
import re
import signal
import subprocess
import time

from stage import SERVICE, URGENT, CannotRun, new_key

READY = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


class Proxy:
    """Runs as a user of its own, from a program that only root can read, unless said otherwise."""

    def __init__(self, stage, upstream, *args, key=None, uid=SERVICE, sealed=True, env=None, nice=URGENT, before=(), stderr=None, descriptors=None):
        self.key = key or new_key()
        self.log_path = stage.path(f"proxy-{time.monotonic_ns()}.log")
        argv = [*before, *stage.proxy_command(sealed), "--upstream-url", upstream, *args]
        with open(self.log_path, "ab") as log:
            self.process = stage.spawn(
                argv, uid=uid, nice=nice, env=env, stdin=subprocess.PIPE, stdout=log, stderr=stderr or log, descriptors=descriptors
            )
        try:
            self.process.stdin.write(self.key.encode() + b"\n")
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it ended before it read the key
        self.process.stdin = None
        self.port = None

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as log:
            return log.read()

    def raw_log(self):
        with open(self.log_path, "rb") as log:
            return log.read()

    def settle(self, seconds=10):
        """Waits until it serves or has ended; true if it serves."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if ready := READY.search(self.log()):
                self.port = int(ready[1])
                # The rest of the start-up lines come with the first.
                time.sleep(0.05)
                return True
            if self.process.poll() is not None:
                return False
            time.sleep(0.01)
        return False

    def serving(self):
        """This proxy, which has to start."""
        if not self.settle():
            raise CannotRun(f"the proxy does not start: {self.log().strip() or 'it says nothing'}")
        return self

    def lives(self):
        return self.process.poll() is None

    def status(self, name):
        """A number of /proc/PID/status, such as Threads or VmRSS (KiB)."""
        with open(f"/proc/{self.pid}/status", encoding="ascii") as status:
            for line in status:
                if line.startswith(name + ":"):
                    return int(line.split()[1])
        raise CannotRun(f"no {name} in /proc/{self.pid}/status")

    def stop(self):
        """Ends it, whatever it still does."""
        self.process.kill()
        self.process.wait()

    def end(self, seconds=15):
        """SIGTERM; its exit status, or None if that has no effect within the time."""
        if self.lives():
            os.kill(self.pid, signal.SIGTERM)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def key_in(where, key, shortest=12):
    """The longest stretch of the key that is in some bytes, in any case: 0 if it is shorter than `shortest`.

    A stretch of the beginning that is public (`sk-proj-`) does not count by itself.
    """
    haystack, needle = where.lower(), key.encode().lower()
    best = 0
    for start in range(len(needle) - shortest + 1):
        length = shortest
        while start + length <= len(needle) and needle[start : start + length] in haystack:
            best = max(best, length)
            length += 1
    return best
