"""The versions of the clients: each stands in one file of versions/, or in a program's Cargo.lock, and is read from there."""

import hashlib
import json
import pathlib
import re

HERE = pathlib.Path(__file__).resolve().parent
PINS, DRIVE = HERE / "versions", HERE / "drive"
PYTHON = PINS / "python" / "requirements.txt"
ASYNC_OPENAI = DRIVE / "async-openai"


def npm_pins(name):
    """The directory with package.json and package-lock.json."""
    return PINS / name


def npm_version(name, package):
    return json.loads((npm_pins(name) / "package.json").read_text())["dependencies"][package]


def pip_version(package):
    return _found(rf"^{re.escape(package)}==([^\s;]+)", PYTHON)


def cargo_version(package):
    return _found(rf'^name = "{re.escape(package)}"\nversion = "([^"]+)"', ASYNC_OPENAI / "Cargo.lock")


def digest(*files):
    """Of what files say, to know whether what was installed by them is still what they ask for."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def _found(pattern, file):
    found = re.search(pattern, file.read_text(), re.MULTILINE)
    if not found:
        raise LookupError(f"{file.relative_to(HERE)} has nothing like {pattern}")
    return found[1]
