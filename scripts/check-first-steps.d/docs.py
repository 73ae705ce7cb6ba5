"""What the pages of docs/ tell an operator and a caller to type, on the machine that the README's first steps have made."""

import json
import os
import pathlib
import re

from document import fail
from readme import END_OF_INPUT, KEY, PROMPT_IS_DRAWN, converse
from shell import Proxy, run
from terminal import PROMPT, Terminal

RUN = "/run/codex-proxy"
INFO = f"{RUN}/server-info.json"
KEY_FILE = "/etc/codex/openai.key"
ASK = "curl -fsS http://127.0.0.1:8787/v1/responses -H 'content-type: application/json' -d '{\"model\": \"gpt-5\", \"input\": \"hi\"}'"

# Blocks that are not typed by this program, by words in them, and what shows instead that they are true.
ELSEWHERE = {
    "README.md": {
        "scripts/demo": "the gate runs both commands",
        "packaging/build-deb": "scripts/check-service",
        "codex-proxy doctor": "scripts/check-service",
    },
    "docs/benchmarks.md": {
        "scripts/bench --install": "minutes of a quiet machine; a release is measured with it",
        "codex_bench": "the same, and a build of its own",
    },
    "docs/clients.md": {"OPENAI_AGENTS_DISABLE_TRACING": "scripts/compat", "llm openai endpoint": "scripts/compat"},
    "docs/containers.md": {
        "packaging/build-image": "scripts/check-containers",
        "podman secret create": "scripts/check-containers",
        "--listen=unix:": "scripts/check-containers",
    },
    "docs/observing.md": {"journalctl": "it follows the journal for as long as it runs, and there is none here"},
    "docs/releases.md": {
        "tar xf": "scripts/check --only release",
        "dnf install": "scripts/check --only release",
        "podman load": "scripts/check --only release",
        "sha256sum --check": "scripts/check --only release",
        "git clone": "scripts/check --only release, which makes them twice",
        "gh attestation": "there is no published release yet",
        "codex --version": "tests of the programs",
    },
    "docs/service.md": {
        "packaging/build-deb": "scripts/check-service",
        "systemd-creds encrypt": "scripts/check-service",
        "--rotate": "scripts/check-service",
    },
}


def budgets(page, documents):
    start = page.block("--budget usd=20/day")
    with Proxy(f"exec {start}"):
        clients(documents["docs/clients.md"])
    show, reset = page.block("budget show").replace("FILE", "/var/lib/codex-proxy/ledger").splitlines()
    run(show, wants=["everyone per day"])
    # The limits of that proxy are everyone's, and no user has an account.
    run(reset.replace("user:1001", "everyone"))


def clients(page):
    variables = page.block("OPENAI_BASE_URL=http")
    run(f"{variables}\n{ASK.replace('http://127.0.0.1:8787/v1', '$OPENAI_BASE_URL')}", user="agent", wants=["word1"])
    run(page.block("curl -sN"), user="agent", wants=["word1", "response.completed"])


def control(page, documents):
    doctor = documents["docs/doctor.md"]
    # The proxy goes into the background there, and the shell that started it ends.
    run(page.block("wait && codex"), wants=["state:        serving"])
    run(ASK, wants=["word1"])
    alarm = page.block("seconds_ago")
    run(alarm, wants=["true"])
    status, *_ = page.commands("state:        serving")
    # The record of a request is counted a moment after its answer.
    run(f"until {status} | grep -q '1 finished (1 complete)'; do sleep 0.1; done")
    run(status)
    as_json, *_ = page.commands('"v": 1')
    json.loads(run(as_json))
    as_agent, *others = doctor.block("--server-info /run/my/info.json").splitlines()
    run(f"mkdir -p /run/my && echo '{{\"port\":8787,\"pid\":'$(pidof codex)'}}' >/run/my/info.json")
    # It is red where the host is: only what it says of the proxy is looked at.
    run(as_agent, user="agent", statuses=(0, 1), wants=["ok"])
    for command in others:
        run(command, user="developer", statuses=(0, 1), wants=["ok" if "jq" not in command else "state"])
    stop, *_ = page.commands("has ended")
    run(stop, wants=["has ended"])
    with Proxy(f"exec codex responses-api-proxy --server-info {RUN}/codex-proxy.json < {KEY_FILE}"):
        run(page.block("XDG_RUNTIME_DIR"), env={"XDG_RUNTIME_DIR": RUN})


def chat(page, _documents):
    """docs/exec.md, as the agent, whose configuration names the proxy."""
    home = pathlib.Path("/home/agent/project")
    files = {
        "question.txt": "What is a memfd?\n",
        "report.txt": "Ann met Bob.\n",
        "schema.json": '{"type": "object", "properties": {"names": {"type": "array", "items": {"type": "string"}}}}',
        "src/main.rs": "fn main() {}\n",
        "Cargo.toml": "[package]\n",
    }
    run("mkdir -p ~/project/src && cd ~/project && git init -q", user="agent")
    for name, text in files.items():
        (home / name).write_text(text)
    # The smallest PNG there is.
    (home / "chart.png").write_bytes(
        bytes.fromhex(
            "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
            "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
        )
    )
    with Proxy(f"exec codex responses-api-proxy --port 8787 --server-info {INFO} < {KEY_FILE}"):
        terminal = Terminal.of("agent")
        terminal.run("cd ~/project")
        for command in page.commands("codex exec - < question.txt"):
            if command == "codex":
                converse(terminal, command)
            elif command == "codex models":
                # The proxy serves nothing but answers: the provider itself is asked.
                run(command, user="developer", env={"OPENAI_API_KEY": KEY})
            elif "--output-schema" in command:
                # The mock upstream answers with words, whatever is asked for.
                if "not the JSON that was asked for" not in terminal.run(f"! {command}"):
                    fail(f"{command}: it took words for JSON")
            else:
                shown = terminal.run(command)
                if command.startswith("codex exec") and " -o " not in command and "word1" not in shown:
                    fail(f"{command}: no answer")
        if "word1" not in (home / "answer.md").read_text():
            fail("docs/exec.md: no answer in answer.md")
        resume(page, terminal)


def resume(page, terminal):
    first, last, one, on_a_terminal, choose = page.commands("codex exec resume --last")
    sessions = sorted(pathlib.Path("/home/agent/.codex/sessions").rglob("*.jsonl"))
    session = re.search(r"([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\.jsonl", sessions[-1].name)[1]
    for command in (first, last, re.sub(r"[0-9a-f-]{36}", session, one)):
        if "word1" not in terminal.run(command):
            fail(f"{command}: no answer")
    converse(terminal, on_a_terminal)
    terminal.send(choose)
    terminal.wait("memfd_create")
    terminal.wait(PROMPT_IS_DRAWN)
    os.write(terminal.fd, END_OF_INPUT)
    terminal.wait(PROMPT)


def identity(page, _documents):
    """Nobody gives an identity here: each says what it could not reach."""
    run("mkdir -p /run/openai-identity && echo a.b.c >/run/openai-identity/token")
    for words, fails in (
        ("--identity-token-file /run", "auth.openai.com"),
        ("--azure-imds", "169.254.169.254"),
        ("--google-metadata", "metadata.google.internal"),
    ):
        command = page.block(words).replace("idp_...", "idp_1").replace("sa_...", "sa_1")
        run(f"timeout 20 {command}", statuses=(1, 124), wants=[fails])


def fleet(page, _documents):
    """The server is on this host."""
    run("echo 127.0.0.1 ledger.internal >>/etc/hosts && mkdir -p /etc/codex-proxy /run/ledger")
    policy = '[everyone]\n[[everyone.limits]]\nusd = 5\nper = "day"\n'
    run("cat >/etc/codex-proxy/policy.toml && (umask 077; echo secret >/etc/codex-proxy/ledger-password)", stdin=policy)
    server = "exec redis-server --bind 127.0.0.1 --requirepass secret --appendonly yes --dir /run/ledger"
    start = f"exec {page.block('--policy /etc')}"
    with Proxy(server, wants="Ready to accept connections"), Proxy(start, wants="process:"):
        run(page.block("budget top").replace("user:1001", "everyone"), wants=["everyone per day: $0.00 of $5.00 spent"])
    run("echo '{}' >/run/access.log")
    run(page.block("--arg host"), cwd="/run", wants=['{"host":'])


def lifecycle(page, _documents):
    given = f'key={KEY_FILE} dir={RUN}; rm -f "$dir/info.json"\n'
    with Proxy(page.block("--idle-exit 10m ...").replace("...", f"< {KEY_FILE}")):
        pass
    start, *_ = page.commands("--expire-after 8h")
    with Proxy(f"exec {start} < {KEY_FILE}"):
        run(ASK, wants=["word1"])
    # It ends with the shell that started it.
    run(given + page.block("--parent-pid") + 'until [ -s "$dir/info.json" ]; do sleep 0.1; done')
    run("for _ in $(seq 100); do pidof codex-responses-api-proxy || exit 0; sleep 0.1; done; exit 1")
    run(given + page.block("--ready-fd 4") + 'echo "$info"; kill "$(jq .pid <<<"$info")"', wants=['"port":', '"pid":'])


def observing(page, _documents):
    run("mkdir -p /run/dumps /var/lib/node_exporter && rm -f /run/access.log")
    start = "exec codex responses-api-proxy --port 8787 --access-log /run/access.log --dump-dir /run/dumps"
    with Proxy(f"{start} --metrics unix:{RUN}/metrics.sock < {KEY_FILE}"):
        run(ASK)
        run(ASK.replace('"hi"', '"hi", "stream": true'))
        run("curl -s http://127.0.0.1:8787/v1/models")
        # The record of a request is counted a moment after its answer.
        shown = "grep -q 'outcome=\"refused\"' /var/lib/node_exporter/codex.prom"
        run(f"until {{ {page.block('node_exporter')} }} && {shown}; do sleep 0.1; done")
    run(page.block("jq -r .body DIR").replace("DIR", "/run/dumps"), wants=["event: response.completed", '"gpt-5"'])
    for words, wants in (("jq -rs --arg day", []), ("sort_by(-.duration_ms)", ["complete"]), ("uniq -c", ["path_not_allowed"])):
        run(page.block(words), cwd="/run", wants=wants)


def operating(page, _documents):
    install = page.block("sudo install").splitlines()[-1]
    run(install, user="developer", cwd="/home/developer/codex")
    typed, *others = [line.split("  #")[0] for line in page.block("from a root-only file").splitlines()]
    flags = f"--server-info {INFO}"
    developer = Terminal.of("developer")
    developer.send(typed.replace("...", ""))
    developer.wait("it is not shown):")
    developer.send(KEY)
    developer.wait("process:")
    os.write(developer.fd, b"\x03")
    developer.wait(PROMPT)
    for command in others:
        with Proxy(command.replace("...", flags), env={"OPENAI_API_KEY": KEY}):
            port = json.loads(pathlib.Path(INFO).read_text())["port"]
            run(ASK.replace("8787", str(port)), wants=["word1"])
    run("mkdir -p /etc/codex-proxy && useradd --system codex-proxy")
    write, start, again = [line.split("  #")[0] for line in page.block("kill -HUP").splitlines()]
    run(write, stdin=f"{KEY}\n")
    with Proxy(f"exec {start}") as proxy:
        run(again.replace("pidof", "pidof -s"))
        proxy.wait("the key")


def contributing(page, documents):
    """That the scripts are there, and take what they are told to be given."""
    for line in page.block("scripts/check  ").splitlines():
        command = line.split("  #")[0].split(" #")[0].strip()
        # The help of this one is that of a program which it compiles first.
        if command == "scripts/bench":
            run(f"test -x {command}", cwd=documents.root)
        elif command.startswith("scripts/"):
            run(f"{command} --help >/dev/null", cwd=documents.root)


PAGES = {
    "docs/CONTRIBUTING.md": contributing,
    "docs/operating.md": operating,
    "docs/budgets.md": budgets,
    "docs/control.md": control,
    "docs/exec.md": chat,
    "docs/fleet.md": fleet,
    "docs/identity.md": identity,
    "docs/lifecycle.md": lifecycle,
    "docs/observing.md": observing,
}


def typed(documents):
    run(f"mkdir -p {RUN} /etc/codex /var/lib/codex-proxy && (umask 077; cat >{KEY_FILE})", stdin=f"{KEY}\n")
    for name, type_it in PAGES.items():
        print(f"\n== {name}", flush=True)
        type_it(documents[name], documents)


def all_accounted_for(documents):
    """That every block for a shell was typed, or is in the list of those that are not."""
    print()
    for name, blocks in ELSEWHERE.items():
        for words, reason in blocks.items():
            print(f"not typed here: {name}, {words}: {reason}")
            documents[name].block(words)
    for name in ("README.md", *(f"docs/{file.name}" for file in pathlib.Path(documents.root, "docs").glob("*.md"))):
        for block in documents[name].not_typed():
            fail(f"{name}: nobody types this:\n{block}")
