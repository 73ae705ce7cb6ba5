"""Profiles of system calls that refuse what the proxy needs, a limit that does, and the profile that is shipped."""

import json
import re
from pathlib import Path

from run import expect

# Of podman itself; that of Docker 20.10 and of containerd 1.5 is older than these calls.
DEFAULT = Path("/usr/share/containers/seccomp.json")
LANDLOCK = {"landlock_create_ruleset", "landlock_add_rule", "landlock_restrict_self"}
SHIPPED = "packaging/seccomp.json"

EPERM, ENOSYS = 1, 38


def without(host, calls, errno):
    """The default profile without these calls, which then fail so: an option for podman."""
    profile = json.loads(DEFAULT.read_text(encoding="utf-8"))
    for rule in profile["syscalls"]:
        rule["names"] = [name for name in rule["names"] if name not in calls]
    profile["syscalls"] = [rule for rule in profile["syscalls"] if rule["names"]]
    profile["defaultErrnoRet"] = errno
    profile.pop("defaultErrno", None)
    file = host.podman.directory / f"profile-{errno}-{len(calls)}.json"
    file.write_text(json.dumps(profile), encoding="utf-8")
    return f"--security-opt=seccomp={file}"


def a_profile_without_landlock_is_named_with_the_cure(host):
    for errno in (EPERM, ENOSYS):
        said = host.fails(without(host, LANDLOCK | {"memfd_secret"}, errno))
        for words in ("--sandbox=require, but not applied: no files", "landlock_add_rule", "--security-opt seccomp=FILE"):
            expect(words in said, f"{errno}: {said}")


def a_profile_without_secret_memory_leaves_a_locked_page_and_a_hint(host):
    for errno in (EPERM, ENOSYS):
        name = host.start_proxy(
            "hinted", without(host, {"memfd_secret"}, errno), "--volume=hinted:/run/codex-proxy", port=8788
        )
        said = host.podman.logs(name)
        for words in ("key: anonymous page, locked in RAM", "hint: root can read the key's page", "seccomp=FILE"):
            expect(words in said, f"{errno}: {said}")
        host.podman.remove(name)


def a_profile_that_refuses_to_lock_memory_is_named_with_the_cure(host):
    said = host.fails(without(host, {"mlock", "memfd_secret"}, EPERM))
    expect("a profile that allows mlock (`--security-opt seccomp=FILE`)" in said, said)


def a_limit_of_locked_memory_is_named_with_the_cure(host):
    said = host.fails("--ulimit=memlock=65536:65536")
    expect("--ulimit memlock=1048576" in said, said)


def the_shipped_profile_is_enough_for_all_of_it(host):
    profile = json.loads((host.root / SHIPPED).read_text(encoding="utf-8"))
    allowed = {name for rule in profile["syscalls"] for name in rule["names"]}
    source = (host.root / "codex-rs/process-hardening/src/seccomp.rs").read_text(encoding="utf-8")
    # What is answered there as by a kernel that does not have it.
    missing = set(re.findall(r"\bSYS_(\w+)", source)) - allowed - {"clone3"}
    expect(not missing, f"{SHIPPED} does not allow {sorted(missing)}, which serving needs")
    options = [f"--security-opt=seccomp={host.root / SHIPPED}", "--ulimit=memlock=1048576:1048576"]
    name = host.start_proxy("shipped", *options, "--volume=shipped:/run/codex-proxy", port=8788)
    said = host.podman.logs(name)
    expect("key: memfd_secret page" in said and "not applied" not in said and "hint" not in said, said)
    answer = host.ask("127.0.0.1:8788", host.network)
    expect(answer.get("status") == 200, answer)
    host.podman("stop", "--time=15", name)
    status = host.podman("inspect", "--format={{.State.ExitCode}}", name).stdout.strip()
    expect(status == "0", f"exit status {status}")
    return f"{len(allowed)} calls"


STEPS = (
    a_profile_without_landlock_is_named_with_the_cure,
    a_profile_without_secret_memory_leaves_a_locked_page_and_a_hint,
    a_profile_that_refuses_to_lock_memory_is_named_with_the_cure,
    a_limit_of_locked_memory_is_named_with_the_cure,
    the_shipped_profile_is_enough_for_all_of_it,
)
