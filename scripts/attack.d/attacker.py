"""A part of an attack that runs as another user, beside the rest: in a process of its own."""

import contextlib
import ctypes
import encodings.idna  # noqa: F401  sockets load it when first used, which another user may not
import os
import pickle
import select
import signal
import sys
import time
import traceback

from stage import CannotRun


# A part that hangs ends by itself, whatever becomes of the rest. Seconds.
LONGEST = 60


def close_all_but(kept):
    for one in map(int, os.listdir("/proc/self/fd")):
        if one not in kept:
            with contextlib.suppress(OSError):
                os.close(one)


class Attacker:
    """Runs `work(*args)` as user `uid`; what it returns is had by `result`.

    Forked, not started: the interpreter may lie where that user cannot read it. Of this process's
    descriptors it has those in `keep`.
    """

    def __init__(self, stage, uid, work, *args, nice=0, keep=()):
        sys.stdout.flush()
        sys.stderr.flush()
        self.read_end, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            status = 1
            try:
                signal.signal(signal.SIGALRM, signal.SIG_DFL)
                signal.alarm(LONGEST)
                signal.signal(signal.SIGTERM, signal.SIG_DFL)
                close_all_but({0, 1, 2, write_end, *keep})
                if nice:
                    os.setpriority(os.PRIO_PROCESS, 0, nice)
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
                # As after an execve: its own children may be traced by it (PR_SET_DUMPABLE), and it
                # does not outlive this program (PR_SET_PDEATHSIG).
                ctypes.CDLL(None).prctl(4, 1)
                ctypes.CDLL(None).prctl(1, signal.SIGKILL)
                with os.fdopen(write_end, "wb") as out:
                    pickle.dump(work(*args), out)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stderr.flush()
                os._exit(status)
        os.close(write_end)
        stage.undo(self.end)

    def result(self, seconds=30):
        """What the work came to."""
        got, deadline = b"", time.monotonic() + seconds
        while True:
            if not select.select([self.read_end], [], [], max(0, deadline - time.monotonic()))[0]:
                self.end()
                raise CannotRun("a part of the attack did not come to an end")
            piece = os.read(self.read_end, 65536)
            if not piece:
                break
            got += piece
        status = self.end()
        if not got:
            raise CannotRun(f"a part of the attack ended with status {status}; see above")
        return pickle.loads(got)

    def end(self):
        if self.pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            status = os.waitpid(self.pid, 0)[1]
            os.close(self.read_end)
            self.pid = 0
            return status
        return None
