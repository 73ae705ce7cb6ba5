"""What stands where server-info is to be written: a stranger's file, a file of value, a trap."""

import contextlib
import json
import os
import re
import subprocess
import time

from proxy import Proxy
from servers import Upstream
from stage import ALICE, SERVICE, STRANGER, CannotRun, Seen

NAME = "a stranger's server-info file is used, or one that is not ours overwritten"

LINE = b'{"port":1,"pid":1}\n'
TREASURES = [
    b'{"people": ["alice", "bob"]}\n', b'{"port": 1, "pid": 2, "notes": "mine"}\n' + b"x" * 5000, b'{"port":1}{"pid":2}\n',
    b'{"p', b'{"port":8787,"name":"my own service"}\n', b'{"port":1,"pid":1}\n{"port":2,"pid":2}\n', b'{"pid":"not a number","port":[]}\n',
]


def attack(stage):
    upstream = Upstream(stage)
    for uid, whose in ((0, "root"), (SERVICE, "a user of its own")):
        for content, what in ((b"", "empty"), (LINE, "with a line")):
            yield strangers_file(stage, upstream, f"a stranger's file, {what}, mode 0666, the proxy {whose}", uid, content)
        yield strangers_file(stage, upstream, f"a stranger's file, private token wanted, the proxy {whose}", uid, b"", ["--require-client-token"])
        yield strangers_fifo(stage, upstream, f"a FIFO, nobody reads, the proxy {whose}", uid, uid)
        yield strangers_fifo(stage, upstream, f"a stranger's FIFO, the proxy {whose}", uid, STRANGER)
        yield directory_link(stage, upstream, f"a stranger's link to a directory, the proxy {whose}", uid)
        yield full_disk(stage, upstream, f"a full disk, the proxy {whose}", uid)
    for number, content in enumerate(TREASURES):
        yield treasure(stage, upstream, f"a file of ours that begins {content[:24].decode()!r}", content, number)
    yield failed_start(stage, upstream)
    yield from honest(stage, upstream)


def start(stage, upstream, path, uid, *args, seconds=4):
    """(serves, whether it ended, what it said)."""
    proxy = Proxy(stage, upstream.url, "--server-info", path, *args, uid=uid)
    serves = proxy.settle(seconds)
    if serves:
        # Written before the first line is printed; its end removes what it made.
        proxy.content = read(path)
        proxy.status_at_end = proxy.end(5)
    return proxy, serves


def read(path):
    with contextlib.suppress(OSError), open(path, "rb") as found:
        return found.read(100_000)
    return None


def last(proxy):
    lines = proxy.log().strip().splitlines()
    return lines[-1][:170] if lines else "it says nothing"


def public(stage):
    return stage.directory(f"public-{time.monotonic_ns()}", 0o777)


def strangers_file(stage, upstream, what, uid, content, args=()):
    path = os.path.join(public(stage), "info.json")
    with open(path, "wb") as out:
        out.write(content)
    os.chown(path, STRANGER, STRANGER)
    os.chmod(path, 0o666)
    proxy, serves = start(stage, upstream, path, uid, *args)
    if not serves:
        hangs = proxy.lives()
        lost = read(path) != content
        return Seen(what, "hangs" if hangs else f"refused: {last(proxy)}" + ("; his file is changed" if lost else ""), hangs or lost)
    # With a token it must be a file that nobody had open before.
    if args and proxy.content and b"client_token" in proxy.content and not os.path.exists(path):
        return Seen(what, "a new file of its own", False)
    return Seen(what, f"used: {(proxy.content or b'')[:40].decode('utf-8', 'replace').strip()}, and it stays his", True)


def treasure(stage, upstream, what, content, number):
    directory = stage.directory(f"own-{number}", 0o755, SERVICE)
    path = os.path.join(directory, "info.json")
    with open(path, "wb") as out:
        out.write(content)
    os.chown(path, SERVICE, SERVICE)
    proxy, serves = start(stage, upstream, path, SERVICE)
    left = read(path)
    if not serves and not proxy.lives() and left == content:
        return Seen(what, f"refused: {last(proxy)}", False)
    return Seen(what, "removed" if left is None else "overwritten" if left != content else "kept, but it starts", left != content)


def strangers_fifo(stage, upstream, what, uid, owner):
    path = os.path.join(public(stage), "info.json")
    os.mkfifo(path, 0o666)
    os.chmod(path, 0o666)
    os.chown(path, owner, owner)
    proxy, serves = start(stage, upstream, path, uid)
    if serves or not proxy.lives():
        return Seen(what, "it serves" if serves else f"refused: {last(proxy)}", serves and owner == STRANGER)
    return Seen(what, "the start hangs", True)


def directory_link(stage, upstream, what, uid):
    """`link/info.json`, where a stranger made `link`."""
    private = stage.directory(f"private-{time.monotonic_ns()}", 0o755, uid)
    link = os.path.join(public(stage), "link")
    os.symlink(private, link)
    os.chown(link, STRANGER, STRANGER, follow_symlinks=False)
    proxy, serves = start(stage, upstream, os.path.join(link, "info.json"), uid)
    if not serves and not proxy.lives() and not os.listdir(private):
        return Seen(what, f"refused: {last(proxy)}", False)
    return Seen(what, "followed, and written where he chose" if serves else "hangs or leaves a file", True)


def full_disk(stage, upstream, what, uid):
    """A file system without room for a line, mounted for this process alone."""
    place = stage.directory(f"disk-{time.monotonic_ns()}")
    log = stage.path(f"disk-{time.monotonic_ns()}.log")
    ours = stage.write(f"disk-{time.monotonic_ns()}.sh", f"""
mount -t tmpfs -o size=4k,mode=777 none {place} || exit 99
head -c 4096 /dev/zero > {place}/filler || exit 98
printf 'sk-test-of-a-full-disk-0123456789abcdef\\n' | timeout -k 1 3 setpriv --reuid {uid} --regid {uid} --clear-groups "$@" 2> {log}
echo "status $?"
ls -la {place}/info.json 2> /dev/null
""")
    made = subprocess.run(
        ["unshare", "--mount", "sh", ours, *stage.proxy_command(), "--upstream-url", upstream.url, "--server-info", f"{place}/info.json"],
        capture_output=True, text=True, timeout=20, check=False,
    )
    if "status" not in made.stdout:
        raise CannotRun(f"no full disk can be made: {made.stderr.strip()[:200]}")
    with open(log, encoding="utf-8") as said:
        text = said.read().strip().splitlines()
    left = "info.json" in made.stdout
    status = int(re.search(r"status (\d+)", made.stdout)[1])
    figure = f"exit {status}{', an empty file is left' if left else ', nothing is left'}: {text[-1][:120] if text else ''}"
    return Seen(what, figure, left or status != 1)


def failed_start(stage, upstream):
    """A start that fails later, for another reason, leaves nothing."""
    path = os.path.join(stage.directory("failed", 0o755, SERVICE), "info.json")
    proxy, serves = start(stage, upstream, path, SERVICE, "--user", "nobody")
    left = os.path.exists(path)
    figure = "it starts" if serves else f"{'an empty file is left' if left else 'nothing is left'}: {last(proxy)}"
    return Seen("a start that fails afterwards", figure, left or serves)


def honest(stage, upstream):
    """What has to go on working."""
    own = stage.directory("honest", 0o755, SERVICE)
    for what, content in [("no file", None), ("an empty file of our own", b""), ("a stale file of our own", LINE)]:
        path = os.path.join(own, "info.json")
        if content is not None:
            with open(path, "wb") as out:
                out.write(content)
            os.chown(path, SERVICE, SERVICE)
        proxy, serves = start(stage, upstream, path, SERVICE)
        good = serves and proxy.content and json.loads(proxy.content).get("pid") and not os.path.exists(path)
        yield Seen(f"works on: {what}", "written, and removed at the end" if good else f"no: {last(proxy)}", not good)
    # codex-action's: made by the user of the directory beforehand, for a proxy of another user.
    path = os.path.join(stage.directory("action", 0o755, ALICE), "info.json")
    open(path, "wb").close()
    os.chown(path, ALICE, ALICE)
    os.chmod(path, 0o666)
    proxy, serves = start(stage, upstream, path, SERVICE)
    good = serves and proxy.content and json.loads(proxy.content).get("pid")
    yield Seen("works on: made beforehand, 0666, in its owner's own directory", "written" if good else f"no: {last(proxy)}", not good)
