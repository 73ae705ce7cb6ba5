"""Clients from the registries, installed once into the cache."""

import re
import shutil
import sys

from processes import last_line, run


class CannotInstall(Exception):
    """Why a client cannot be checked here."""


def need(program):
    if not shutil.which(program):
        raise CannotInstall(f"no {program}")


def npm_install(directory, package):
    """PACKAGE@VERSION into a directory, unless it is there."""
    need("npm")
    marker = directory / "installed"
    if marker.exists() and marker.read_text().strip() == package:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    npm = ["npm", "install", "--prefix", directory, "--no-audit", "--no-fund", "--loglevel", "error", "--fetch-retries", "1"]
    outcome = run([*npm, package], seconds=None)
    if outcome.status:
        reason = re.search(r".*npm (?:error|ERR!).*", outcome.out + outcome.err)
        raise CannotInstall(f"npm install {package}: {reason[0][:120] if reason else ''}")
    marker.write_text(f"{package}\n")


def pip_install(directory, requirement, version):
    """A virtual environment with what is required, unless it is there; returns what the program `version` prints in it."""
    python = directory / "bin" / "python"
    if not python.exists():
        outcome = run([sys.executable, "-m", "venv", directory], seconds=None)
        if outcome.status:
            shutil.rmtree(directory, ignore_errors=True)
            raise CannotInstall(f"python3 -m venv: {last_line(outcome.out + outcome.err)}")
    if run([python, "-c", version]).status:
        outcome = run([python, "-m", "pip", "install", "--quiet", "--retries", "1", requirement], seconds=None)
        if outcome.status:
            raise CannotInstall(f"pip install: {last_line(outcome.out + outcome.err)}")
    return run([python, "-c", version]).out.strip()
