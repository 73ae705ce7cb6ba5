"""Types the commands of a README on terminals, and sees what they answer."""

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time

KEY = "sk-typed-0123456789abcdefghijklmnopqrstuvwxyz"
PROMPT = "typed> "
TIMEOUT = 60


class Terminal:
    """A login shell of a user on a terminal of its own."""

    def __init__(self, user):
        self.said = ""
        self.child, self.fd = pty.fork()
        if not self.child:
            # As a login does; the shell's history would keep what is typed.
            os.execvp("su", ["su", "--login", user])
        self.prompt()

    def prompt(self):
        """Has the shell that reads now prompt with what is waited for."""
        self.send("PS1='typed''> '; PS2=; unset HISTFILE; cd ~/codex 2>/dev/null")
        self.wait(PROMPT)

    def send(self, line):
        os.write(self.fd, line.encode() + b"\n")

    def wait(self, *texts):
        """Until the terminal shows one of the texts; what it showed until then."""
        end = time.monotonic() + TIMEOUT
        while True:
            found = [(self.said.find(text), text) for text in texts if text in self.said]
            if found:
                at, text = min(found)
                before, self.said = self.said[:at], self.said[at + len(text) :]
                sys.stdout.write(before + text)
                sys.stdout.flush()
                return before
            ready, _, _ = select.select([self.fd], [], [], max(0, end - time.monotonic()))
            if not ready:
                fail(f"no {texts} within {TIMEOUT} s, but {self.said!r}")
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                piece = b""
            if not piece:
                fail(f"the terminal ended before {texts}: {self.said!r}")
            self.said += piece.decode(errors="replace")

    def run(self, command):
        """Types a command, waits until it is over, and wants success."""
        self.send(command)
        shown = self.wait(PROMPT)
        self.send("echo \"exit:$?\"")
        self.wait("exit:$?")
        status = re.search(r"exit:(\d+)", self.wait(PROMPT))
        if not status or status[1] != "0":
            fail(f"{command}: exit status {status and status[1]}")
        return shown


def fail(why):
    sys.exit(f"\ncheck-first-steps: {why}")


def blocks(readme, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", readme, re.S | re.M)


def commands(block):
    """The lines behind `$ `, joined where they end in a backslash, without comments."""
    found = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(line[2:])
        elif found and found[-1].endswith("\\"):
            found[-1] = found[-1][:-1] + line.strip()
    return [re.sub(r"\s+# .*", "", command).strip() for command in found]


def the(readme, language, *words):
    """The one block of a language that has all the words."""
    found = [block for block in blocks(readme, language) if all(word in block for word in words)]
    if len(found) != 1:
        fail(f"README.md has {len(found)} {language} blocks with {words}")
    return found[0]


def as_agent(terminal, readme):
    """What is typed as the agent, whose shell is left open."""
    become, ask = commands(the(readme, "console", "sudo -iu agent"))
    terminal.send(become)
    terminal.prompt()
    if "word1" not in terminal.run(ask):
        fail("codex exec as the agent: no answer")
    # What the README says of that account.
    for command in ("sudo -n true", "cat /proc/$(pgrep -x codex)/environ", "kill $(pgrep -x codex)"):
        terminal.run(f"! {command}")
    configuration = the(readme, "toml", "local-proxy")
    terminal.run("mkdir -p ~/.codex")
    terminal.run(f"cat >~/.codex/config.toml <<'END'\n{configuration}END")
    question, piped, _chat = commands(the(readme, "console", "git diff |"))
    for command in (question, piped.replace("git diff", "echo a diff")):
        if "word1" not in terminal.run(command):
            fail(f"{command}: no answer")


def main():
    readme = open(sys.argv[1]).read()
    developer = Terminal("developer")
    *before, start = commands(the(readme, "console", "sudo useradd", "responses-api-proxy"))
    for command in before:
        if command.startswith("cargo build"):
            print(f"\n(not typed: {command})")
        else:
            developer.run(command)
    developer.send(start)
    developer.wait("Paste the API key and press Enter (it is not shown):")
    developer.send(KEY)
    developer.wait("process:")
    as_agent(Terminal("developer"), readme)
    # Somebody else is not allowed, the developer included.
    refused = Terminal("developer").run(
        "curl -s --noproxy '*' -d '{}' -H 'content-type: application/json' http://127.0.0.1:8787/v1/responses"
    )
    if '"error"' not in refused:
        fail(f"another user got: {refused}")
    os.write(developer.fd, b"\x03")
    developer.wait(PROMPT)

    script = the(readme, "sh", "exec env -u OPENAI_API_KEY")
    job = subprocess.Popen(
        ["su", "developer", "-s", "/bin/bash", "-c", script + 'until [ -s "$XDG_RUNTIME_DIR/codex-proxy.json" ]; do sleep 0.1; done\n'
         'codex exec --ephemeral -c model_provider=local-proxy --server-info "$XDG_RUNTIME_DIR/codex-proxy.json" hi </dev/null\n'
         'curl -fsS --noproxy "*" "http://127.0.0.1:$(sed -E \'s/.*"port":([0-9]+).*/\\1/\' "$XDG_RUNTIME_DIR/codex-proxy.json")/shutdown"\nwait'],
        env={**os.environ, "OPENAI_API_KEY": KEY, "XDG_RUNTIME_DIR": f"/run/user/{uid('developer')}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    signal.alarm(TIMEOUT)
    said, _ = job.communicate()
    print(said)
    if job.returncode or "word1" not in said:
        fail(f"the script: exit status {job.returncode}")
    record = open(sys.argv[2]).read()
    if record.count(f"Bearer {KEY}") != record.count('"method"') or not record:
        fail("a request came without the key")
    print("\nEvery command did what README.md says.")


def uid(user):
    import pwd

    return pwd.getpwnam(user).pw_uid


main()
