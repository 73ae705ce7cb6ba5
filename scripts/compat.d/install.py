"""Clients from the registries, by the files that pin their versions, installed once into the cache."""

import re
import shutil
import sys

from pins import ASYNC_OPENAI, PYTHON, digest, npm_pins
from processes import last_line, run


class CannotInstall(Exception):
    """Why a client cannot be checked here."""


def need(program):
    if not shutil.which(program):
        raise CannotInstall(f"no {program}")


def npm_install(cache, name):
    """What the lock file of versions/NAME says, into CACHE/NAME, unless it is there: returns that directory."""
    need("npm")
    pins, directory = npm_pins(name), cache / name
    files = [pins / "package.json", pins / "package-lock.json"]
    wanted = digest(*files)
    if _is_installed(directory, wanted):
        return directory
    _start_afresh(directory)
    for file in files:
        shutil.copy(file, directory)
    npm = ["npm", "ci", "--prefix", directory, "--no-audit", "--no-fund", "--loglevel", "error", "--fetch-retries", "1"]
    outcome = run(npm, seconds=None)
    if outcome.status:
        reason = re.search(r".*npm (?:error|ERR!).*", outcome.out + outcome.err)
        raise CannotInstall(f"npm ci for {name}: {reason[0][:120] if reason else ''}")
    return _mark_installed(directory, wanted)


def pip_install(cache):
    """The environment that all Python clients share, unless it is there: returns its python."""
    directory, wanted = cache / "python", digest(PYTHON)
    python = directory / "bin" / "python"
    # A cache that has moved, or whose Python is gone, is of no use.
    if _is_installed(directory, wanted) and not run([python, "-c", "import openai"]).status:
        return python
    _start_afresh(directory)
    outcome = run([sys.executable, "-m", "venv", directory], seconds=None)
    if outcome.status:
        raise CannotInstall(f"python3 -m venv: {last_line(outcome.out + outcome.err)}")
    pip = [python, "-m", "pip", "install", "--quiet", "--retries", "1", "--require-hashes", "--no-deps", "-r", PYTHON]
    outcome = run(pip, seconds=None)
    if outcome.status:
        raise CannotInstall(f"pip install: {last_line(outcome.out + outcome.err)}")
    _mark_installed(directory, wanted)
    return python


def cargo_build(cache):
    """The program that async-openai is in, unless it is there: returns it."""
    need("cargo")
    directory = cache / "async-openai"
    files = [ASYNC_OPENAI / file for file in ("Cargo.toml", "Cargo.lock", "src/main.rs")]
    wanted = digest(*files)
    program = directory / "debug" / "with-async-openai"
    if _is_installed(directory, wanted):
        return program
    cargo = ["cargo", "build", "--quiet", "--locked", "--manifest-path", files[0], "--target-dir", directory]
    outcome = run(cargo, seconds=None)
    if outcome.status:
        raise CannotInstall(f"cargo build of async-openai: {last_line(outcome.out + outcome.err)}")
    _mark_installed(directory, wanted)
    return program


def _marker(directory):
    return directory / "installed"


def _is_installed(directory, wanted):
    marker = _marker(directory)
    return marker.exists() and marker.read_text().strip() == wanted


def _start_afresh(directory):
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)


def _mark_installed(directory, wanted):
    _marker(directory).write_text(f"{wanted}\n")
    return directory
