"""The manifests and the compose file against the schemas of Kubernetes and of Compose, and against what the pages promise."""

import json
from pathlib import Path

import jsonschema
import kubernetes_validate
import yaml

from podman import HARDENED, HEALTH, PROXY_USER

# The first has native sidecars (restartPolicy of an init container) and the newest that the schemas are there for.
VERSIONS = ("1.29", "1.37")

PROXY = "codex-proxy"

# The secret that the key is in.
KEY = "openai"


def documents(root):
    files = sorted((root / "packaging/kubernetes").glob("*.yaml"))
    if not files:
        raise AssertionError("packaging/kubernetes has no manifest")
    for file in files:
        for document in yaml.safe_load_all(file.read_text(encoding="utf-8")):
            yield file.name, document


def the_manifests_are_those_of_kubernetes(root):
    count = 0
    for name, document in documents(root):
        for version in VERSIONS:
            try:
                kubernetes_validate.validate(document, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise AssertionError(f"{name}, Kubernetes {version}: {error}") from error
        count += 1
    return f"{count} objects, Kubernetes {' and '.join(VERSIONS)}"


def a_field_that_is_not_there_is_found(root):
    """Otherwise nothing would follow from the step before."""
    name, document = next(item for item in documents(root) if item[1]["kind"] == "Deployment")
    document["spec"]["template"]["spec"]["initContainers"][0]["restartPolice"] = "Always"
    try:
        kubernetes_validate.validate(document, VERSIONS[0], strict=True)
    except kubernetes_validate.ValidationError:
        return
    raise AssertionError(f"{name}: a field that does not exist was accepted")


def containers_of(document):
    """(pod, container) of every container named as the proxy, and of all others."""
    pod = document.get("spec", {}).get("template", {}).get("spec")
    if pod:
        for container in pod.get("initContainers", []) + pod["containers"]:
            yield pod, container


def the_proxy_s_container_is_confined(root):
    found = 0
    for name, document in documents(root):
        for pod, container in containers_of(document):
            if container["name"] != PROXY:
                continue
            found += 1
            context = {**pod.get("securityContext", {}), **container["securityContext"]}
            wanted = {
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }
            for field, value in wanted.items():
                if context.get(field) != value:
                    raise AssertionError(f"{name}: {field} is {context.get(field)}, not {value}")
            if not {"startupProbe", "livenessProbe"} <= container.keys():
                raise AssertionError(f"{name}: the proxy has no probes")
            if pod.get("shareProcessNamespace") or pod.get("hostPID"):
                raise AssertionError(f"{name}: the proxy's processes are shared")
    if found != 2:
        raise AssertionError(f"{found} containers are called {PROXY}")


def only_the_proxy_mounts_the_key(root):
    for name, document in documents(root):
        for pod, container in containers_of(document):
            volumes = pod.get("volumes", [])
            secret = {volume["name"] for volume in volumes if volume.get("secret", {}).get("secretName") == KEY}
            mounts = {mount["name"] for mount in container.get("volumeMounts", [])}
            has = bool(secret & mounts)
            if has != (container["name"] == PROXY):
                raise AssertionError(f"{name}: {container['name']} {'has' if has else 'has not'} the key")


def the_agent_is_not_the_proxy_s_user_nor_root(root):
    for name, document in documents(root):
        for pod, container in containers_of(document):
            if container["name"] == "agent":
                user = {**pod.get("securityContext", {}), **container["securityContext"]}.get("runAsUser")
                if user in (0, PROXY_USER, None):
                    raise AssertionError(f"{name}: the agent runs as {user}")
                return
    raise AssertionError("no container is called agent")


def the_compose_file_is_one(root):
    # The schema in the last version of docker-compose that was written in Python.
    packages = Path(kubernetes_validate.__file__).parent.parent
    schema = json.loads((packages / "compose/config/compose_spec.json").read_text(encoding="utf-8"))
    document = yaml.safe_load((root / "packaging/compose.yaml").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(document)
    document["services"]["proxy"]["read-only"] = True
    if jsonschema.Draft7Validator(schema).is_valid(document):
        raise AssertionError("a key that does not exist was accepted")


def the_page_has_the_options_that_are_run(root):
    page = (root / "docs/containers.md").read_text(encoding="utf-8")
    missing = [option for option in HARDENED + [HEALTH.replace("=[", "='[")] if option not in page]
    if missing:
        raise AssertionError(f"docs/containers.md does not say {missing}")


STEPS = (
    the_manifests_are_those_of_kubernetes,
    a_field_that_is_not_there_is_found,
    the_proxy_s_container_is_confined,
    only_the_proxy_mounts_the_key,
    the_agent_is_not_the_proxy_s_user_nor_root,
    the_compose_file_is_one,
    the_page_has_the_options_that_are_run,
)
