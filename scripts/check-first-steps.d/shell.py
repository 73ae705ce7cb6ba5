"""Commands of the documents, run by bash as a user, and proxies that they start."""

import os
import pwd
import signal
import subprocess
import tempfile

from document import fail
from terminal import TIMEOUT


def arguments(user, script):
    return ["runuser", "-u", user, "--", "bash", "-c", script]


def environment(user, extra):
    home = pwd.getpwnam(user).pw_dir
    return {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "NO_PROXY": "*", **(extra or {})}


def run(script, user="root", env=None, stdin="", cwd="/", statuses=(0,), wants=()):
    """Runs a script, and gives what it wrote: it has to end with one of the statuses, and to have written the texts."""
    print(f"\n{user}$ {script.strip()}", flush=True)
    # Not a pipe: what the script leaves running would hold it open.
    with tempfile.TemporaryFile("w+") as output:
        try:
            done = subprocess.run(
                arguments(user, script), env=environment(user, env), input=stdin, cwd=cwd, text=True, stdout=output,
                stderr=subprocess.STDOUT, timeout=TIMEOUT, check=False,
            )
            late = ""
        except subprocess.TimeoutExpired:
            late = f"not over after {TIMEOUT} s"
        output.seek(0)
        said = output.read()
    print(said, end="", flush=True)
    if late or done.returncode not in statuses:
        fail(f"{script}: {late or f'exit status {done.returncode}'}")
    for text in wants:
        if text not in said:
            fail(f"{script}: no {text!r} in what it wrote")
    return said


class Proxy:
    """A proxy that a command starts, until it has said that it is ready; ended at the end of `with`."""

    def __init__(self, script, user="root", env=None, stdin=None, wants="process:"):
        self.script = script
        print(f"\n{user}$ {script.strip()}", flush=True)
        self.process = subprocess.Popen(
            arguments(user, script), env=environment(user, env), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )
        if stdin is not None:
            self.process.stdin.write(stdin)
        self.process.stdin.close()
        self.wait(wants)

    def wait(self, text):
        """Until it writes a line with the text."""
        signal.alarm(TIMEOUT)
        said = ""
        for line in self.process.stdout:
            print(line, end="", flush=True)
            said += line
            if text in line:
                signal.alarm(0)
                return
        fail(f"{self.script}: it ended without {text!r}: {said}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # All that the command started; the proxy ends what is in flight first.
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.stdout.read()
        self.process.wait()
