#!/usr/bin/env python3
"""Writes what is said about a release: an SBOM and a provenance statement.

    describe.py sbom METADATA OUT              METADATA: what `cargo metadata` says
    describe.py provenance TOOLS DIR OUT ...   TOOLS: a line for each tool; DIR: what was made

Nothing but the commit and the files is in them: the same commit makes the same bytes.
"""

import argparse
import hashlib
import json
import os
import time
import uuid
from collections import deque
from pathlib import Path
from urllib.parse import quote

# Whose dependencies are in what is shipped; tests and what makes manual pages are not.
SHIPPED = ["codex-cli", "codex-responses-api-proxy"]


def now():
    """The time of the commit."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))


def write(document, out):
    out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


# ---- SBOM


def is_normal(dependency):
    return any(kind["kind"] is None for kind in dependency["dep_kinds"])


def is_run_by_the_compiler(package):
    return any("proc-macro" in target["kind"] for target in package["targets"])


def reached(metadata, beyond_macros):
    """Ids of the packages that the programs need, each with those that it uses; macros and what they use only if wanted."""
    packages = {package["id"]: package for package in metadata["packages"]}
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    starts = [package["id"] for package in metadata["packages"] if package["name"] in SHIPPED and package["source"] is None]
    found, queue = {}, deque(starts)
    while queue:
        package = queue.popleft()
        if package not in found and (beyond_macros or not is_run_by_the_compiler(packages[package])):
            found[package] = sorted(each["pkg"] for each in nodes[package]["deps"] if is_normal(each))
            queue.extend(found[package])
    return starts, found


def purl(package):
    return f"pkg:cargo/{quote(package['name'])}@{quote(package['version'])}"


def license_of(package):
    expression = (package["license"] or "").replace("/", " OR ")
    return {"licenses": [{"expression": expression}]} if expression else {}


def component(package, checksums, is_linked):
    hashes = checksums.get((package["name"], package["version"]))
    return {
        "type": "library",
        "bom-ref": purl(package),
        "name": package["name"],
        "version": package["version"],
        **({"description": package["description"].strip()} if package["description"] else {}),
        # What runs in the compiler alone is in no program.
        "scope": "required" if is_linked else "excluded",
        **({"hashes": [{"alg": "SHA-256", "content": hashes}]} if hashes else {}),
        **license_of(package),
        # A crate of this workspace is not what a registry may have by its name.
        **({"purl": purl(package)} if package["source"] else {}),
    }


def checksums_in(lock):
    """(name, version) to the SHA-256 of what the registry has, by Cargo.lock."""
    found, entry = {}, {}
    for line in lock.read_text().splitlines():
        key, _, value = line.partition(" = ")
        if line == "[[package]]":
            entry = {}
        entry[key] = value.strip('"')
        if key == "checksum":
            found[entry["name"], entry["version"]] = entry[key]
    return found


def sbom(metadata, root):
    packages = {package["id"]: package for package in metadata["packages"]}
    starts, found = reached(metadata, beyond_macros=True)
    _, linked = reached(metadata, beyond_macros=False)
    checksums = checksums_in(root / "Cargo.lock")
    version = packages[starts[0]]["version"]
    whole = {
        "type": "application",
        "bom-ref": "codex-proxy",
        "name": "codex-proxy",
        "version": version,
        "licenses": [{"expression": "Apache-2.0"}],
    }
    by_ref = {purl(packages[each]): each for each in found}
    dependencies = [{"ref": "codex-proxy", "dependsOn": sorted(purl(packages[each]) for each in starts)}]
    for ref in sorted(by_ref):
        uses = sorted({purl(packages[each]) for each in found[by_ref[ref]]})
        dependencies.append({"ref": ref, "dependsOn": uses})
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, os.environ['CODEX_COMMIT'])}",
        "version": 1,
        "metadata": {"timestamp": now(), "component": whole},
        "components": [component(packages[by_ref[ref]], checksums, by_ref[ref] in linked) for ref in sorted(by_ref)],
        "dependencies": dependencies,
    }


# ---- provenance


def digest(file):
    return {"sha256": hashlib.sha256(file.read_bytes()).hexdigest()}


def provenance(tools, made, root, given):
    """An in-toto statement with a predicate of SLSA's provenance, version 1 (https://slsa.dev/spec/v1.0/provenance)."""
    commit = os.environ["CODEX_COMMIT"]
    files = sorted(file for file in made.iterdir() if file.is_file())
    locks = ["Cargo.lock", "scripts/check.d/tools.txt", "scripts/release.d/tools.txt"]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": file.name, "digest": digest(file)} for file in files],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                "buildType": "urn:codex-proxy:scripts-release:1",
                "externalParameters": {"profile": given.profile, "targets": given.targets.split(",")},
                "internalParameters": {"SOURCE_DATE_EPOCH": os.environ["SOURCE_DATE_EPOCH"]},
                "resolvedDependencies": [
                    {"name": "source", "digest": {"gitCommit": commit}},
                    *({"name": name, "digest": digest(root / name)} for name in locks),
                ],
            },
            "runDetails": {
                "builder": {"id": "urn:codex-proxy:scripts-release", "version": dict(line.split(" ", 1) for line in tools)},
            },
        },
    }


def main():
    parser = argparse.ArgumentParser()
    what = parser.add_subparsers(dest="what", required=True)
    to = what.add_parser("sbom")
    to.add_argument("metadata", type=Path)
    to.add_argument("out", type=Path)
    to = what.add_parser("provenance")
    to.add_argument("tools", type=Path)
    to.add_argument("made", type=Path)
    to.add_argument("out", type=Path)
    to.add_argument("--profile", required=True)
    to.add_argument("--targets", required=True)
    given = parser.parse_args()
    root = Path(__file__).resolve().parent.parent.parent
    if given.what == "sbom":
        write(sbom(json.loads(given.metadata.read_text()), root), given.out)
    else:
        tools = [line for line in given.tools.read_text().splitlines() if line]
        write(provenance(tools, given.made, root, given), given.out)


if __name__ == "__main__":
    main()
