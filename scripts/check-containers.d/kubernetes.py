"""The proxy as the manifests of packaging/kubernetes have it, with volumes as the kubelet makes them."""

import hashlib
import os

import yaml

from podman import PROXY_USER
from run import UPSTREAM, expect, is_streamed

# What agent.py sends for a key.
TOKEN = "not-known-here"


def proxy_of(host, manifest):
    """The proxy's container in a manifest."""
    text = (host.root / "packaging/kubernetes" / manifest).read_text(encoding="utf-8")
    for document in yaml.safe_load_all(text):
        pod = document.get("spec", {}).get("template", {}).get("spec", {})
        for container in pod.get("initContainers", []) + pod.get("containers", []):
            if container["name"] == "codex-proxy":
                return container
    raise AssertionError(f"no proxy in {manifest}")


def volume(host, name, file, text, mode):
    """A secret or a ConfigMap for a pod with fsGroup: root's, for that group to read, behind links, in a directory that
    everybody may write."""
    top = host.podman.directory / name
    (top / "..1").mkdir(parents=True)
    inner = top / "..1" / file
    inner.write_text(text, encoding="utf-8")
    (top / "..data").symlink_to("..1")
    (top / file).symlink_to(f"..data/{file}")
    for path, mode_of_path in ((inner, mode | 0o440), (top / "..1", 0o2755), (top, 0o3777)):
        os.chown(path, 0, PROXY_USER)
        os.chmod(path, mode_of_path)
    return top, inner


def empty_dir(host, name, owner, mode):
    directory = host.podman.directory / name
    directory.mkdir()
    os.chown(directory, owner, PROXY_USER)
    os.chmod(directory, mode)
    return directory


def probes_hold(host, name, container):
    for probe in ("startupProbe", "livenessProbe"):
        asked = host.podman("exec", name, *container[probe]["exec"]["command"], check=False)
        expect(asked.returncode == 0, f"{probe}: {asked.stdout}")


def the_sidecar_of_the_manifest_serves_its_agent(host):
    container = proxy_of(host, "sidecar.yaml")
    secret, key = volume(host, "secret", "key", host.key, 0o400)
    mounted = [f"--volume={secret}:/run/secrets/openai:ro"]
    control = empty_dir(host, "empty-dir", 0, 0o2777)
    # Beside the other proxy, whose port it would take.
    flags = [flag.replace("8787", "8788") for flag in container["args"]] + UPSTREAM
    host.start_with(flags, "sidecar", f"--volume={control}:/run/codex-proxy", secret=mounted)
    probes_hold(host, "sidecar", container)
    is_streamed(host.ask("127.0.0.1:8788", host.network))
    host.podman.remove("sidecar")
    host.key_volume = secret, key


def a_secret_for_another_group_or_for_everybody_is_refused(host):
    secret, key = host.key_volume
    mounted = [f"--volume={secret}:/run/secrets:ro"]
    os.rename(secret / "key", secret / "openai-key")
    os.chown(key, 0, 2000)
    said = host.fails("--group-add=2000", secret=mounted)
    expect("fsGroup and runAsGroup 65532" in said, said)
    os.chmod(key, 0o444)
    said = host.fails(secret=mounted)
    expect("its mode is 444" in said, said)


def the_daemonset_of_the_manifest_serves_the_holders_of_tokens(host):
    container = proxy_of(host, "daemonset.yaml")
    secret, _ = volume(host, "daemon-secret", "key", host.key, 0o400)
    digest = hashlib.sha256(TOKEN.encode()).hexdigest()
    tokens, file = volume(host, "tokens", "tokens", f"team-a:{digest}\n", 0o444)
    sockets = empty_dir(host, "host-path", PROXY_USER, 0o755)
    mounted = [f"--volume={secret}:/run/secrets/openai:ro", f"--volume={tokens}:/etc/codex-proxy:ro"]
    host.start_with(container["args"] + UPSTREAM, "daemon", f"--volume={sockets}:/run/codex-proxy", secret=mounted)
    probes_hold(host, "daemon", container)
    agent = ["--network=none", f"--volume={sockets}:/run/codex-proxy:ro"]
    is_streamed(host.ask("unix:/run/codex-proxy/api.sock", *agent))
    file.write_text(f"team-b:{'0' * 64}\n", encoding="utf-8")
    host.podman("kill", "--signal=HUP", "daemon")
    expect(host.podman("exec", "daemon", *container["livenessProbe"]["exec"]["command"]).returncode == 0, "it is gone")
    answer = host.ask("unix:/run/codex-proxy/api.sock", *agent)
    expect(answer == {"status": 401, "code": "client_token_required"}, f"{answer} {host.podman.logs('daemon')}")
    host.podman.remove("daemon")


STEPS = (
    the_sidecar_of_the_manifest_serves_its_agent,
    a_secret_for_another_group_or_for_everybody_is_refused,
    the_daemonset_of_the_manifest_serves_the_holders_of_tokens,
)
