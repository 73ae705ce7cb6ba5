#!/usr/bin/env python3
"""A network namespace that is far away: far_link.py ROUND_TRIP_MS LOSS

Needs root and a network namespace of its own, where it gets 10.199.0.1; the far end is 10.199.0.2, in the namespace of
this process. Between the two, each packet is kept for half of the round trip, and a share of LOSS (0 to 1) is dropped, in
each direction; the same ones in each run, as far as there are the same packets. It says `ready`, and ends with its standard
input. As good as netem(8) for this, where a kernel has no sch_netem: TCP on both sides is the kernel's, and what is lost is
lost to it.
"""

import collections
import ctypes
import fcntl
import os
import random
import select
import struct
import subprocess
import sys
import time

# linux/if_tun.h
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
# linux/sched.h
CLONE_NEWNET = 0x40000000
# Longer than what can be under way, in packets: nothing else is to be lost.
QUEUE = 100_000
MTU = 1500
SEED = 1


def interface(name, address):
    """A tun device of the present namespace, by which packets are read and written one at a time."""
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    for arguments in (
        ("address", "add", f"{address}/30", "dev", name),
        ("link", "set", name, "mtu", str(MTU), "txqueuelen", str(QUEUE), "up"),
        ("link", "set", "lo", "up"),
    ):
        subprocess.run(("ip", *arguments), check=True, stdin=subprocess.DEVNULL)
    return tun


class Way:
    """One direction."""

    def __init__(self, source, target, delay, loss):
        self.source, self.target, self.delay, self.loss = source, target, delay, loss
        self.under_way = collections.deque()
        self.random = random.Random(SEED)

    def take(self):
        """Takes what has been sent."""
        while True:
            try:
                packet = os.read(self.source, MTU + 100)
            except BlockingIOError:
                return
            if self.random.random() >= self.loss:
                self.under_way.append((time.monotonic() + self.delay, packet))

    def deliver(self):
        """Delivers what is due. Returns when the next packet is; None without one."""
        while self.under_way:
            due, packet = self.under_way[0]
            if due > time.monotonic():
                return due
            os.write(self.target, packet)
            self.under_way.popleft()
        return None


def main():
    delay, loss = float(sys.argv[1]) / 2000, float(sys.argv[2])
    near = interface("near", "10.199.0.1")
    # Descriptors stay with the namespace they are of.
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        sys.exit(f"far_link.py: no network namespace: {os.strerror(ctypes.get_errno())}")
    far = interface("far", "10.199.0.2")
    print("ready", flush=True)
    ways = Way(near, far, delay, loss), Way(far, near, delay, loss)
    while True:
        dues = [due for due in (way.deliver() for way in ways) if due is not None]
        wait = max(0.0, min(dues) - time.monotonic()) if dues else None
        ready, _, _ = select.select([near, far, sys.stdin], [], [], wait)
        if sys.stdin in ready:
            return
        for way in ways:
            way.take()


main()
