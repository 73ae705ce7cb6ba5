"""What an attack is made with: a temporary directory, processes, users, ports, and their end."""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import string
import subprocess
import sys
import tempfile
import time

# Users without an entry in any database: who runs the proxy, two callers, and a stranger.
SERVICE, ALICE, BOB, STRANGER = 20003, 20001, 20002, 65534

KEY_PREFIX = "sk-proj-"
KEY_ALPHABET = string.ascii_letters + string.digits + "-_"
KEY_LENGTH = 51

# What is measured must not be the builds that run beside it on the same processors: the proxy, the
# upstream, the gateways and the victims go before them, the attackers do not.
URGENT = -10

PROGRAMS = os.path.dirname(os.path.abspath(__file__))


class CannotRun(Exception):
    """The attack cannot be made here; not a verdict about the proxy."""


class Seen:
    """One thing that was tried: what, the figure, and whether it is a break."""

    def __init__(self, what, figure, broken):
        self.what, self.figure, self.broken = what, str(figure), bool(broken)

    def as_dict(self):
        return {"what": self.what, "figure": self.figure, "broken": self.broken}


def new_key():
    return KEY_PREFIX + "".join(secrets.choice(KEY_ALPHABET) for _ in range(KEY_LENGTH - len(KEY_PREFIX)))


def needed(program, package=None):
    """The path of a program that an attack cannot do without."""
    path = shutil.which(program)
    if not path:
        raise CannotRun(f"no {program} (Debian's package {package or program}; scripts/attack --install fetches it)")
    return path


def await_true(what, seconds, condition):
    """Asks until it is true; an attack that waits in vain cannot be made."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise CannotRun(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)
    return found


class Stage:
    def __init__(self, binary, root, oracle_seconds):
        self.root = root
        self.oracle_seconds = oracle_seconds
        self.top = tempfile.mkdtemp(prefix="attack.")
        os.chmod(self.top, 0o755)
        self.is_multitool = os.path.basename(binary) == "codex"
        # Root's copies: one as a package would install it, one that is to be read by all.
        self.sealed = self._copy(binary, "sealed", 0o711)
        self.plain = self._copy(binary, "plain", 0o755)
        chat = binary if self.is_multitool else os.path.join(os.path.dirname(os.path.abspath(binary)), "codex")
        self._chat = self._copy(chat, "chat", 0o755) if os.path.exists(chat) else None
        self._made = 0
        self._processes = []
        self._undo = contextlib.ExitStack()
        self._new_directory()

    def _copy(self, program, directory, mode):
        place = os.path.join(self.top, directory)
        os.mkdir(place, 0o755)
        copy = os.path.join(place, os.path.basename(program))
        shutil.copyfile(program, copy)
        os.chmod(copy, mode)
        return copy

    def _new_directory(self):
        self._made += 1
        self.tmp = os.path.join(self.top, str(self._made))
        os.mkdir(self.tmp, 0o755)

    @property
    def chat(self):
        """The program that has `exec`."""
        if not self._chat:
            raise CannotRun("no codex beside the binary, for codex exec")
        return self._chat

    def proxy_command(self, sealed=True):
        program = self.sealed if sealed else self.plain
        return [program, "responses-api-proxy"] if self.is_multitool else [program]

    def path(self, name):
        return os.path.join(self.tmp, name)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def directory(self, name, mode=0o755, uid=0):
        path = self.path(name)
        os.mkdir(path)
        os.chown(path, uid, uid)
        os.chmod(path, mode)
        return path

    def spawn(self, argv, uid=None, nice=0, env=None, libraries=False, descriptors=None, **kwargs):
        """Starts a process that ends with this attack at the latest."""

        def before():
            if nice:
                with contextlib.suppress(OSError):
                    os.setpriority(os.PRIO_PROCESS, 0, nice)
            if descriptors:
                import resource

                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
            if uid is not None:
                os.setgroups([])
                os.setresgid(uid, uid, uid)
                os.setresuid(uid, uid, uid)
            # PR_SET_PDEATHSIG: should this program be killed, nothing of it stays.
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)

        environment = {"PATH": os.environ["PATH"], "HOME": self.tmp, "LANG": "C", "PYTHONDONTWRITEBYTECODE": "1"}
        if libraries and os.environ.get("CODEX_ATTACK_LIBRARIES"):
            environment["LD_LIBRARY_PATH"] = os.environ["CODEX_ATTACK_LIBRARIES"]
        environment.update(env or {})
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        process = subprocess.Popen(argv, env=environment, preexec_fn=before, **kwargs)
        self._processes.append(process)
        return process

    def python(self, program, *args, **kwargs):
        """Starts one of the programs beside this file."""
        argv = [sys.executable, "-u", os.path.join(PROGRAMS, program), *map(str, args)]
        return self.spawn(argv, **kwargs)

    def undo(self, what, *args):
        """Something to be put back when this attack is over."""
        self._undo.callback(what, *args)

    def tear_down(self):
        """Ends what this attack started, by its process ids."""
        for process in reversed(self._processes):
            if process.poll() is None:
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGCONT)
                    process.kill()
        for process in self._processes:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream:
                    with contextlib.suppress(OSError):
                        stream.close()
        self._processes.clear()
        self._undo.close()
        self._undo = contextlib.ExitStack()
        shutil.rmtree(self.tmp, ignore_errors=True)
        self._new_directory()

    def close(self):
        self.tear_down()
        shutil.rmtree(self.top, ignore_errors=True)


def free_port(both=False):
    """A port that nobody has, on 127.0.0.1, and on ::1 too if `both`."""
    for _ in range(100):
        with socket.socket() as one:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if not both:
                return port
            with socket.socket(socket.AF_INET6) as other:
                try:
                    other.bind(("::1", port))
                    return port
                except OSError:
                    continue
    raise CannotRun("no port is free on both addresses")
