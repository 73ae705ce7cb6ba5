"""What an agent does in its container: asks through the proxy, or looks for the key. Prints JSON."""

import ctypes
import http.client
import json
import os
import socket
import subprocess
import sys
import time

PTRACE_ATTACH = 16
PTRACE_DETACH = 17


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ask(where):
    """One request whose answer is streamed: its status, its text, and over how long its pieces came."""
    if where.startswith("unix:"):
        connection = UnixConnection(where[len("unix:") :])
    else:
        connection = http.client.HTTPConnection(where, timeout=20)
    body = json.dumps({"model": "gpt-mock", "input": "hi", "stream": True})
    headers = {"Content-Type": "application/json", "Authorization": "Bearer not-known-here"}
    try:
        connection.request("POST", "/v1/responses", body, headers)
        answer = connection.getresponse()
    except OSError as error:
        return {"error": str(error)}
    if answer.status != 200:
        return {"status": answer.status, "code": json.loads(answer.read())["error"]["code"]}
    text, times = "", []
    for line in answer:
        if b"output_text.delta" in line and line.startswith(b"data: "):
            text += json.loads(line[6:])["delta"]
            times.append(time.monotonic())
    return {"status": 200, "words": len(text.split()), "seconds": times[-1] - times[0]}


def processes_of_others():
    """Numbers of all processes that can be seen here, but for this one."""
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


class IoVec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def ways_into(pid):
    """Every way to what a process has, and whether it is open."""
    libc = ctypes.CDLL(None, use_errno=True)

    def read(path):
        with open(path, "rb") as file:
            return file.read(1) or True

    def trace():
        if libc.ptrace(PTRACE_ATTACH, pid, None, None):
            raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(pid, 0)
        libc.ptrace(PTRACE_DETACH, pid, None, None)

    def read_memory():
        buffer = ctypes.create_string_buffer(1)
        mine = IoVec(ctypes.addressof(buffer), 1)
        # No address has to be right: who may not, is told so first.
        theirs = IoVec(ctypes.addressof(buffer), 1)
        if libc.process_vm_readv(pid, ctypes.byref(mine), 1, ctypes.byref(theirs), 1, 0) < 0:
            if ctypes.get_errno() != 14:
                raise OSError(ctypes.get_errno(), "process_vm_readv")

    def take_descriptor():
        pidfd = os.pidfd_open(pid)
        taken = libc.syscall(438, pidfd, 0, 0)
        if taken < 0:
            raise OSError(ctypes.get_errno(), "pidfd_getfd")

    ways = {
        "mem": lambda: os.close(os.open(f"/proc/{pid}/mem", os.O_RDONLY)),
        "environ": lambda: read(f"/proc/{pid}/environ"),
        "maps": lambda: read(f"/proc/{pid}/maps"),
        "root": lambda: os.listdir(f"/proc/{pid}/root"),
        "fd": lambda: os.readlink(f"/proc/{pid}/fd/0"),
        "ptrace": trace,
        "process_vm_readv": read_memory,
        "pidfd_getfd": take_descriptor,
    }
    opened = {}
    for name, attempt in ways.items():
        try:
            attempt()
            opened[name] = True
        except OSError:
            opened[name] = False
    return opened


def look_for_the_key(secrets):
    """Of the other processes here, of an ordinary one to compare with, and in files."""
    others = processes_of_others()
    ordinary = subprocess.Popen(["sleep", "60"])
    time.sleep(0.1)
    found = {
        "others": {pid: ways_into(pid) for pid in others},
        "ordinary": ways_into(ordinary.pid),
        "files": [path for path in secrets if os.access(path, os.R_OK)],
    }
    ordinary.kill()
    # Else what is left of it is one of the others that the next agent sees.
    ordinary.wait()
    return found


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    print(json.dumps(ask(*rest) if command == "ask" else look_for_the_key(rest)))
