"""A Debian system in a container: systemd is its first process, and it has no network but its own loopback."""

import os
import shutil
import signal
import subprocess
import sys
import time

from terminal import Terminal

# nspawn forbids these where the container lacks the capability or the list is old; services of a real host have them.
CALLS = "@memlock memfd_secret landlock_create_ruleset landlock_add_rule landlock_restrict_self"

BOOT_SECONDS = 120


class CannotRun(Exception):
    """The container cannot be had here; not a verdict about the package."""


def root_of(suite, cache, name, packages):
    """The root file system of a suite with some packages, made once."""
    root = os.path.join(cache, name)
    if os.path.exists(root + ".complete"):
        return root
    shutil.rmtree(root, ignore_errors=True)
    command = ["debootstrap", "--variant=minbase", f"--include={packages}", suite, root]
    with open(os.path.join(cache, f"{name}.log"), "w", encoding="utf-8") as log:
        made = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False)
    if made.returncode != 0:
        raise CannotRun(f"debootstrap cannot make {name}: see {log.name}")
    with open(root + ".complete", "w", encoding="utf-8"):
        pass
    return root


class Container:
    """One that is booted, with a copy of the suite's root file system that goes with it."""

    PACKAGES = "systemd,systemd-sysv,dbus,ca-certificates,procps,iproute2,logrotate,sudo"
    # What is its first process, which nspawn is told to start like this.
    FIRST = "systemd"
    START = ("--boot", "--console=pipe")

    def __init__(self, suite, cache, kind=""):
        self.suite = suite
        name = suite + kind
        original = root_of(suite, cache, name, self.PACKAGES)
        self.root = os.path.join(cache, f"{name}-running")
        shutil.rmtree(self.root, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", original, self.root], check=True)
        # debootstrap writes none.
        with open(self.path("etc/hosts"), "w", encoding="utf-8") as file:
            file.write("127.0.0.1 localhost\n::1 localhost\n")
        self._prepare()
        # Without a unit of its own: the host need not have systemd as its first process.
        command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off"]
        command += [f"--system-call-filter={CALLS}", "-D", self.root, "-M", f"codex-{name}", *self.START]
        # One version of control groups inside, whatever there is outside.
        environment = dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1")
        with open(os.path.join(cache, f"{name}.boot"), "w", encoding="utf-8") as log:
            self.nspawn = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        self.init = self._await_init(log.name)
        self._await_boot(log.name)

    def _prepare(self):
        with open(self.path("etc/machine-id"), "w", encoding="utf-8") as file:
            file.write("uninitialized\n")
        # Nobody is there to answer its questions, and no network to wait for.
        for service in ("systemd-firstboot", "systemd-networkd-wait-online"):
            os.symlink("/dev/null", self.path(f"etc/systemd/system/{service}.service"))

    def path(self, inside):
        """Where a file of it is on the host."""
        return os.path.join(self.root, inside.lstrip("/"))

    def run(self, *command, stdin=None, user=None, check=False):
        """Runs a command in it, and gives the status and what it wrote, standard error included."""
        done = subprocess.run(
            [*self._inside(user), *command],
            input=stdin if stdin is not None else "",
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: status {done.returncode}: {done.stdout}")
        return done.returncode, done.stdout

    def terminal(self, *command, user=None):
        """The command, on a terminal of its own."""
        return Terminal(*self._inside(user), *command)

    def _inside(self, user):
        inside = ["nsenter", "-t", str(self.init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w"]
        home = "/root" if user is None else f"/home/{user}"
        inside += ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8", f"HOME={home}", "TERM=dumb"]
        return inside if user is None else [*inside, "runuser", "-u", user, "--"]

    def shell(self, text, **keywords):
        return self.run("bash", "-c", text, **keywords)

    def end(self):
        if self.nspawn.poll() is None:
            os.kill(self.init, signal.SIGKILL)
            self.nspawn.wait()
        shutil.rmtree(self.root, ignore_errors=True)

    def _await_init(self, log):
        """The process that is the first one inside, as the host numbers it."""
        children = f"/proc/{self.nspawn.pid}/task/{self.nspawn.pid}/children"
        for _ in range(BOOT_SECONDS * 10):
            if self.nspawn.poll() is not None:
                break
            with open(children, encoding="utf-8") as file:
                for pid in file.read().split():
                    with open(f"/proc/{pid}/comm", encoding="utf-8") as comm:
                        if comm.read().strip() == self.FIRST:
                            return int(pid)
            time.sleep(0.1)
        raise CannotRun(f"systemd-nspawn does not boot {self.suite}: see {log}")

    def _await_boot(self, log):
        state = ""
        for _ in range(BOOT_SECONDS * 4):
            state = self.run("systemctl", "is-system-running")[1].strip()
            if state in ("running", "degraded"):
                return
            time.sleep(0.25)
        print(self.run("systemctl", "--failed")[1], file=sys.stderr)
        raise CannotRun(f"{self.suite} is {state} after {BOOT_SECONDS} s: see {log}")


class Plain(Container):
    """One without systemd, whose first process only reaps the others."""

    PACKAGES = "ca-certificates,procps,iproute2,passwd,openrc,runit"
    FIRST = "(sd-stubinit)"
    START = ("--as-pid2", "sleep", "infinity")

    def _prepare(self):
        pass

    def _await_boot(self, log):
        status, said = self.run("ip", "link", "set", "lo", "up")
        if status != 0:
            raise CannotRun(f"{self.suite} has no loopback: {said}")
