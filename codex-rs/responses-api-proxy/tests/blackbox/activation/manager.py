"""Keeps sockets as systemd does, and starts the proxy with them whenever somebody connects.

    manager.py NAME=KIND:ADDRESS ... -- PROGRAM ARGUMENT ...

KIND is tcp, udp or unix. The key on standard input is passed to each process that is started. One that ends with another
exit status than 0 ends this.
"""

import ctypes
import os
import select
import socket
import sys


def bound(kind, address):
    if kind == "unix":
        it = socket.socket(socket.AF_UNIX)
        it.bind(address)
    else:
        host, port = address.rsplit(":", 1)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
        it = socket.socket(family, kinds[kind])
        it.bind((host.strip("[]"), int(port)))
    if kind != "udp":
        it.listen(4096)
    return it


def run(sockets, names, command, key):
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(reading)
        os.write(writing, key)
        os.close(writing)
        return child, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    # It ends with this process (PR_SET_PDEATHSIG).
    ctypes.CDLL(None).prctl(1, 9)
    os.dup2(reading, 0)
    # Out of the way of the numbers that they are to have.
    for at, it in enumerate(sockets):
        os.dup2(it.fileno(), 100 + at)
    for at in range(len(sockets)):
        os.dup2(100 + at, 3 + at)
    os.closerange(3 + len(sockets), 200)
    os.environ["LISTEN_FDS"] = str(len(sockets))
    os.environ.setdefault("LISTEN_PID", str(os.getpid()))
    os.environ["LISTEN_FDNAMES"] = ":".join(names)
    os.execv(command[0], command)


def main():
    at = sys.argv.index("--")
    key = sys.stdin.buffer.read()
    specs = [spec.split("=", 1) for spec in sys.argv[1:at]]
    names = [name for name, _ in specs]
    sockets = [bound(*address.split(":", 1)) for _, address in specs]
    for it in sockets:
        it.setblocking(False)
        if it.family != socket.AF_UNIX:
            print("manager has port", it.getsockname()[1], file=sys.stderr, flush=True)
    print("manager is there", file=sys.stderr, flush=True)
    while True:
        select.select(sockets, [], [])
        child, status = run(sockets, names, sys.argv[at + 1 :], key)
        print("manager saw exit", status, "of", child, file=sys.stderr, flush=True)
        if status != 0:
            sys.exit(status)


main()
