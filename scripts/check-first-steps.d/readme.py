"""What the README tells a newcomer to type: as a user with sudo, and as the agent whose account they make."""

import os
import pwd
import signal
import subprocess

from document import fail
from terminal import PROMPT, TIMEOUT, Terminal

KEY = "sk-typed-0123456789abcdefghijklmnopqrstuvwxyz"

# Ctrl-D
END_OF_INPUT = b"\x04"
# By the line editor of the chat: what is typed before that is not read by it.
PROMPT_IS_DRAWN = "\x1b[?2026l"


def as_agent(terminal, readme):
    """What is typed as the agent, whose shell is left open."""
    become, ask = readme.commands("sudo -iu agent")
    terminal.send(become)
    terminal.prompt()
    if "word1" not in terminal.run(ask):
        fail("codex exec as the agent: no answer")
    # What the README says of that account.
    for command in ("sudo -n true", "cat /proc/$(pgrep -x codex)/environ", "kill $(pgrep -x codex)"):
        terminal.run(f"! {command}")
    terminal.run("mkdir -p ~/.codex")
    terminal.run(f"cat >~/.codex/config.toml <<'END'\n{readme.block('[model_providers.local-proxy]', 'base_url')}END")
    question, piped, chat = readme.commands("git diff |")
    for command in (question, piped.replace("git diff", "echo a diff")):
        if "word1" not in terminal.run(command):
            fail(f"{command}: no answer")
    converse(terminal, chat)


def converse(terminal, command):
    """Starts a conversation, asks, and ends it."""
    terminal.send(command)
    terminal.wait("/help lists commands")
    terminal.wait(PROMPT_IS_DRAWN)
    terminal.send("hi")
    terminal.wait("word1")
    terminal.wait("tokens in")
    terminal.wait(PROMPT_IS_DRAWN)
    os.write(terminal.fd, END_OF_INPUT)
    terminal.wait(PROMPT)


def in_a_script(readme):
    """The form for a script, whose environment has the key; `codex exec` finds the proxy, and a request ends it."""
    script = readme.block("exec env -u OPENAI_API_KEY") + r"""
until [ -s "$XDG_RUNTIME_DIR/codex-proxy.json" ]; do sleep 0.1; done
codex exec --ephemeral -c model_provider=local-proxy --server-info "$XDG_RUNTIME_DIR/codex-proxy.json" hi </dev/null
curl -fsS --noproxy "*" "http://127.0.0.1:$(sed -E 's/.*"port":([0-9]+).*/\1/' "$XDG_RUNTIME_DIR/codex-proxy.json")/shutdown"
wait
"""
    job = subprocess.Popen(
        ["su", "developer", "-s", "/bin/bash", "-c", script],
        env={**os.environ, "OPENAI_API_KEY": KEY, "XDG_RUNTIME_DIR": f"/run/user/{pwd.getpwnam('developer').pw_uid}"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    signal.alarm(TIMEOUT)
    said, _ = job.communicate()
    signal.alarm(0)
    print(said)
    if job.returncode or "word1" not in said:
        fail(f"the script: exit status {job.returncode}")


def typed(readme):
    developer = Terminal.of("developer")
    *before, start = readme.commands("sudo useradd", "responses-api-proxy")
    for command in before:
        if command.startswith("cargo build"):
            print(f"\n(not typed: {command})")
        else:
            developer.run(command)
    developer.send(start)
    developer.wait("Paste the API key and press Enter (it is not shown):")
    developer.send(KEY)
    developer.wait("process:")
    as_agent(Terminal.of("developer"), readme)
    # Somebody else is not allowed, the developer included.
    refused = Terminal.of("developer").run(
        "curl -s --noproxy '*' -d '{}' -H 'content-type: application/json' http://127.0.0.1:8787/v1/responses"
    )
    if '"error"' not in refused:
        fail(f"another user got: {refused}")
    os.write(developer.fd, b"\x03")
    developer.wait(PROMPT)
    in_a_script(readme)
