"""Goes through the steps that are asked for, and says what holds."""

import argparse
import contextlib
import sys
import time
from pathlib import Path

import compose_file
import kubernetes
import manifests
import profiles
import run
from podman import CannotRun, Podman

ROOT = Path(__file__).resolve().parent.parent.parent


def groups(only, bin_directory):
    """The steps of each group, made when its turn comes: (name, function) pairs."""
    for name in only:
        if name == "manifests":
            yield manifests.STEPS, lambda: contextlib.nullcontext(ROOT)
        elif name == "run":
            yield run.STEPS + kubernetes.STEPS + profiles.STEPS, lambda: run.Host(ROOT, bin_directory)
        elif name == "compose":
            yield compose_file.STEPS, lambda: run.Host(ROOT, bin_directory, start=False)
        else:
            print(f"check-containers: no group is called {name}", file=sys.stderr)
            raise SystemExit(2)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", required=True)
    parser.add_argument("--bin", required=True)
    args = parser.parse_args()
    broken = 0
    for steps, make in groups(args.only.split(","), args.bin):
        with make() as host:
            for step in steps:
                broken += not holds(step, host)
    if broken:
        print(f"{broken} do not hold")
        raise SystemExit(1)


def holds(step, host):
    began = time.monotonic()
    name = step.__name__.replace("_", " ")
    try:
        found = step(host)
    except (AssertionError, KeyError, ValueError, OSError) as error:
        print(f"BROKEN {name}: {type(error).__name__} {error}", flush=True)
        return False
    took = time.monotonic() - began
    print(f"holds  {name} ({took:.1f} s){': ' + found if found else ''}", flush=True)
    return True


if __name__ == "__main__":
    try:
        main()
    except CannotRun as error:
        print(f"check-containers: {error}", file=sys.stderr)
        raise SystemExit(1) from error
