"""A process of the proxy's own user is there before it has closed itself to others."""

import os
import re
import signal
import time

import trace_memory
from attacker import Attacker
from caller import ask
from authority import Authority
from proxy import READY, key_in
from servers import Upstream
from stage import SERVICE, CannotRun, Seen, new_key

NAME = "a process of the same user gets in before the process is hardened"

TRIES = 3
WARNED = re.compile(r"\b0?711\b|readable|dumpable (from|at|until)|before it was|not protected", re.I)


def attack(stage):
    authority = Authority(stage)
    upstream = Upstream(stage, authority.issue("upstream", "IP:127.0.0.1"), h2=True)
    env = {"SSL_CERT_FILE": authority.certificate}
    for what, grip in [("/proc/PID/mem opened between execve and prctl", race), ("seized before execve, let go", seize)]:
        for sandbox in ("require", "best-effort"):
            results = [once(stage, upstream, env, grip, False, sandbox) for _ in range(TRIES)]
            yield judge(f"{what}, a program all can read, --sandbox={sandbox}", results, sandbox)
        results = [once(stage, upstream, env, grip, True, "require") for _ in range(TRIES)]
        seen = judge(f"{what}, root's program of mode 0711, --sandbox=require", results, "require", True)
        if grip is race and not any(result["serves"] for result in results):
            seen.figure += "; it does not start"
            seen.broken = True
        yield seen
    for sealed in (False, True):
        result = once(stage, upstream, env, stay, sealed, "best-effort")
        figure = f"it starts, with a tracer ({result['said'][:80]})" if result["serves"] else f"refused: {result['said'][:160]}"
        yield Seen(f"traced all along, mode {'0711' if sealed else '0755'}", figure, result["serves"])
    # One nobody touched, and that could not have been: it starts, and has nothing to say of it.
    result = once(stage, upstream, env, None, True, "require")
    warned = WARNED.search(result["said"])
    yield Seen(
        "untouched, mode 0711, --sandbox=require",
        ("starts" if result["serves"] else f"does not start: {result['said'][:160]}") + (f", but warns: {warned[0]}" if warned else ""),
        not result["serves"],
    )


def judge(what, results, sandbox, is_sealed=False):
    gripped = sum(result["gripped"] for result in results)
    stolen = sum(result["stolen"] for result in results)
    refused = sum(not result["serves"] for result in results)
    warned = sum(bool(WARNED.search(result["said"])) for result in results)
    figure = f"memory had {gripped} of {TRIES}, the whole key {stolen} of {TRIES}; refused {refused}, warned {warned}"
    # Whoever was not quick enough this time is another time: what counts is the start, not the race.
    unprotected = [result for result in results if result["gripped"] or not is_sealed]
    broken = any(result["serves"] and (sandbox == "require" or not WARNED.search(result["said"])) for result in unprotected)
    return Seen(what, figure, broken)


def once(stage, upstream, env, grip, sealed, sandbox):
    argv = [*stage.proxy_command(sealed), "--sandbox", sandbox, "--upstream-url", upstream.url]
    key = new_key()
    log = stage.path(f"early-{time.monotonic_ns()}.log")
    open(log, "wb").close()
    os.chown(log, SERVICE, SERVICE)
    work = Attacker(stage, SERVICE, run, argv, {"PATH": os.environ["PATH"], **env}, key, log, grip and grip.__name__)
    result = work.result(20)
    with open(log, encoding="utf-8", errors="replace") as said:
        result["said"] = " / ".join(said.read().strip().splitlines())
    return result


def run(argv, env, key, log, grip):
    """Starts the proxy as a shell of this user would, and takes hold of it. The key is only used to give
    it to the proxy, and to know it again."""
    begin_read, begin_write = os.pipe()
    stdin_read, stdin_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        trace_memory.libc.prctl(1, signal.SIGKILL)
        os.close(begin_write)
        os.read(begin_read, 1)
        os.dup2(stdin_read, 0)
        out = os.open(log, os.O_WRONLY | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        os.closerange(3, 256)
        try:
            os.execve(argv[0], argv, env)
        finally:
            os._exit(127)
    os.close(begin_read)
    os.close(stdin_read)
    held = GRIPS[grip](pid, argv[0], begin_write) if grip else os.write(begin_write, b"!") and None
    try:
        os.write(stdin_write, key.encode() + b"\n")
    except BrokenPipeError:
        pass
    os.close(stdin_write)
    port = ready(log, pid)
    stolen = 0
    if held and port:
        stolen = take(held, port, key)
    if grip == "stay":
        try:
            trace_memory.ptrace(trace_memory.DETACH, pid)
        except OSError:
            pass
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass
    return {"gripped": bool(held), "stolen": stolen == len(key), "serves": bool(port)}


def ready(log, pid):
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        with open(log, encoding="utf-8", errors="replace") as said:
            if found := READY.search(said.read()):
                time.sleep(0.05)
                return int(found[1])
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            if stat.read().rpartition(")")[2].split()[0] == "Z":
                return None
        time.sleep(0.005)
    return None


def take(held, port, key):
    """How much of the key comes out."""
    best = 0
    for begin, end, rights, name in list(held.regions()):
        # Its own page, hidden from every other process; or an ordinary one, locked between two guards.
        if "secretmem" in name or (rights.startswith("r") and end - begin == 4096 and not name):
            try:
                stolen = held.read(begin, 1024)
            except OSError:
                stolen = trace_memory.steal(held, begin, lambda: [ask(port, {"do": "small"}, timeout=1) for _ in range(3)])
            best = max(best, key_in(stolen, key))
    return best


def race(pid, program, begin):
    """Asks until the process is the program, and opens its memory at once."""
    os.write(begin, b"!")
    deadline = time.monotonic() + 1
    link, path = f"/proc/{pid}/exe", program
    while time.monotonic() < deadline:
        try:
            if os.readlink(link) == path:
                return trace_memory.Grip(pid)
        except PermissionError:
            return None
        except OSError:
            pass
    return None


def seize(pid, program, begin):
    """Stops it at its execve, opens its memory there, and lets it go."""
    held = stay(pid, program, begin, go_on=False)
    trace_memory.ptrace(trace_memory.DETACH, pid)
    return held


def stay(pid, program, begin, go_on=True):
    del program
    trace_memory.ptrace(trace_memory.SEIZE, pid, trace_memory.OPTION_EXEC)
    os.write(begin, b"!")
    if not trace_memory.stops_at_exec(pid):
        raise CannotRun("the proxy cannot be executed")
    try:
        held = trace_memory.Grip(pid)
    except PermissionError:
        held = None
    if go_on:
        trace_memory.ptrace(trace_memory.CONT, pid)
    return held


GRIPS = {"race": race, "seize": seize, "stay": stay}
