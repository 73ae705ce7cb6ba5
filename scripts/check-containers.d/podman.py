"""podman with storage of its own, which goes at the end, and options that any kernel and control group allow."""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

# What the proxy runs as in its image (packaging/build-image).
PROXY_USER = 65532

# Whoever starts this may be a container itself, without the right to raise a limit; podman's own are higher.
LIMITS = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]

# As docs/containers.md has it.
HARDENED = ["--read-only", "--read-only-tmpfs=false", "--cap-drop=all", "--security-opt=no-new-privileges"]

HEALTH = '--health-cmd=["/codex-responses-api-proxy","status"]'

READY_SECONDS = 30


class CannotRun(Exception):
    """podman cannot be had here; not a verdict about the image."""


class Podman:
    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="codex-containers-"))
        os.chmod(self.directory, 0o755)
        self.command = ["podman", "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none"]
        self.command += [f"--{name}={self.directory / 'podman' / name}" for name in ("root", "runroot", "tmpdir")]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self("rm", "--all", "--force", "--time=0", check=False)
        shutil.rmtree(self.directory, ignore_errors=True)

    def remove(self, name):
        """Ends a container. What of its directory is in use by another one's mounts stays until all are removed."""
        self("rm", "--force", "--time=0", name, check=False)
        found = self("ps", "--quiet", f"--filter=name=^{name}$", "--filter=status=running").stdout.strip()
        assert not found, f"{name} still runs"

    def __call__(self, *arguments, check=True, **options):
        """Runs podman; what it says on both streams, and its exit status."""
        command = [*self.command, *map(str, arguments)]
        options = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "text": True, "timeout": 120, **options}
        done = subprocess.run(command, stdout=subprocess.PIPE, check=False, **options)
        if check and done.returncode:
            raise AssertionError(f"podman {' '.join(map(str, arguments))}: {done.stdout.strip()}")
        return done

    def wrapper(self):
        """A program called podman that runs this one, for podman-compose: the directory that it is in."""
        into = self.directory / "bin"
        into.mkdir(exist_ok=True)
        program = into / "podman"
        program.write_text('#!/bin/sh\nexec ' + " ".join([shutil.which("podman"), *self.command[1:]]) + ' "$@"\n')
        program.chmod(0o755)
        return into

    def load(self, build_image, programs):
        """The image of packaging/build-image, made and loaded: its name."""
        archive = self.directory / "image.tar"
        made = subprocess.run(
            [build_image, "--bin-dir", programs, "--out", archive, "--version", "check"],
            env={**os.environ, "SOURCE_DATE_EPOCH": "1700000000"},
            capture_output=True,
            text=True,
            check=False,
        )
        if made.returncode:
            raise CannotRun(made.stderr.strip())
        self("load", "--input", archive)
        return "localhost/codex-proxy:check"

    def import_host_programs(self):
        """An image that has nothing but places to mount, for containers that use this host's programs."""
        root = self.directory / "empty"
        for name in ("usr", "proc", "dev", "sys", "run/codex-proxy", "tmp", "etc", "agent"):
            (root / name).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            with contextlib.suppress(OSError):
                (root / name).symlink_to(os.readlink(f"/{name}"))
        archive = self.directory / "empty.tar"
        subprocess.run(["tar", "-C", root, "-cf", archive, "."], check=True)
        self("import", archive, "localhost/host-programs")
        return ["--volume=/usr:/usr:ro", "localhost/host-programs"]

    def start(self, name, *arguments):
        self("run", "--detach", f"--name={name}", *LIMITS, *arguments)
        return name

    def logs(self, name):
        return self("logs", name).stdout

    def json_of(self, *arguments):
        """What a command says, as JSON, without what it warns of."""
        done = self(*arguments, check=False, stderr=subprocess.PIPE)
        if done.returncode:
            raise AssertionError(f"podman {' '.join(map(str, arguments))}: {done.stdout}{done.stderr.strip()}")
        return json.loads(done.stdout)

    def status_of_the_process(self, name):
        """/proc/PID/status of a container's first process."""
        pid = self("inspect", "--format={{.State.Pid}}", name).stdout.strip()
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def wait_for_file(path, podman, name):
    deadline = time.monotonic() + READY_SECONDS
    while not (path.exists() and path.stat().st_size):
        if time.monotonic() > deadline:
            raise AssertionError(f"{name} does not start: {podman.logs(name)}")
        time.sleep(0.05)
