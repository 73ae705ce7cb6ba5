"""Programs on terminals of their own, what is typed there, and what they show."""

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

from document import fail

PROMPT = "typed> "
TIMEOUT = 60
# Lines and columns.
SIZE = (40, 120)


class Terminal:
    """A terminal with a program on it."""

    def __init__(self, *command):
        self.said = ""
        self.child, self.fd = pty.fork()
        if not self.child:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *SIZE, 0, 0))
            os.execvp(command[0], command)

    @classmethod
    def of(cls, user):
        """With a login shell of a user, as a login has it; the shell's history would keep what is typed."""
        terminal = cls("su", "--login", user)
        terminal.prompt()
        return terminal

    def prompt(self):
        """Has the shell that reads now prompt with what is waited for."""
        self.send("PS1='typed''> '; PS2=; unset HISTFILE; cd ~/codex 2>/dev/null")
        self.wait(PROMPT)

    def send(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def wait(self, *texts):
        """Until the terminal shows one of the texts; what it showed until then."""
        end = time.monotonic() + TIMEOUT
        while True:
            found = [(self.said.find(text), text) for text in texts if text in self.said]
            if found:
                at, text = min(found)
                before, self.said = self.said[:at], self.said[at + len(text) :]
                sys.stdout.write(before + text)
                sys.stdout.flush()
                return before
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                fail(f"no {texts} within {TIMEOUT} s, but {self.said!r}")
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                piece = b""
            if not piece:
                fail(f"the terminal ended before {texts}: {self.said!r}")
            self.said += piece.decode(errors="replace")

    def run(self, command):
        """Types a command, waits until it is over, and wants success."""
        self.send(command)
        shown = self.wait(PROMPT)
        self.send("echo \"exit:$?\"")
        self.wait("exit:$?")
        status = re.search(r"exit:(\d+)", self.wait(PROMPT))
        if not status or status[1] != "0":
            fail(f"{command}: exit status {status and status[1]}")
        return shown


def fail(why):
    sys.exit(f"\ncheck-first-steps: {why}")
