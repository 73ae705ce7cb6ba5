"""openai/codex-action: the key from a variable that the proxy does not get, the binary by its short name, a server-info
file made beforehand that every user may write, and config.toml for Codex."""

import os
import shutil
import subprocess

from codex_cli import CodexCli
from credentials import KEY
from install import CannotInstall, need
from processes import last_line, run, wait_for
from servers import port_in

CONFIG = """\
model_provider = "codex-action-responses-proxy"
[model_providers.codex-action-responses-proxy]
name = "Codex Action Responses Proxy"
base_url = "http://127.0.0.1:{port}/v1"
wire_api = "responses"
"""

# How the action reads the port.
READ_PORT = """\
const { port } = JSON.parse(require("fs").readFileSync(process.argv[1], "utf8"));
if (typeof port !== "number") throw new Error("port is not a number");
console.log(port);
"""

# How long the proxy may take to end after GET /shutdown, in seconds.
SHUTDOWN = 30


class CodexAction:
    name, title, version = "action", "", ""

    def __init__(self, args, background):
        self._program = args.bin / "codex-responses-api-proxy"
        self._background = background
        self._codex = CodexCli(args, background)
        self._no_codex = None

    def install(self):
        need("curl")
        try:
            self._codex.install()
        except CannotInstall as error:
            # The rest of it can be checked without.
            self._no_codex = str(error)

    def check(self, servers, expect):
        info = self._background.tmp / f"action.{expect.via}.json"
        log = self._background.tmp / f"action.{expect.via}.log"
        proxy = self._start(servers["answer"], info, log)
        if not wait_for(info, proxy):
            expect.failed("start", f"no server info: {last_line(log.read_text(errors='replace'))}")
            return
        port = self._read_port(info, expect)
        if port is None:
            return
        self._check_codex(port, expect)
        self._check_shutdown(port, proxy, info, log, expect)

    def _start(self, upstream, info, log):
        info.touch()
        info.chmod(0o666)
        argv = [self._program, "--http-shutdown", "--server-info", info, "--upstream-url", upstream.upstream]
        env = {**os.environ, "PROXY_API_KEY": KEY}
        with subprocess.Popen(["printenv", "PROXY_API_KEY"], env=env, stdout=subprocess.PIPE) as printenv:
            return self._background.start(argv, log, stdin=printenv.stdout, env=upstream.trust)

    def _read_port(self, info, expect):
        written = info.read_text().strip()
        # With JSON.parse where there is one, as the action does.
        if shutil.which("node"):
            outcome = run(["node", "-e", READ_PORT, info])
            if outcome.status:
                expect.failed("server info", outcome.last_line)
                return None
            port = int(outcome.out)
        else:
            port = port_in(info)
        expect.ok("server info", written)
        return port

    def _check_codex(self, port, expect):
        if self._no_codex:
            expect.skipped("codex, config.toml", self._no_codex)
            return
        self._codex.home.clear()
        self._codex.home.write(CONFIG.format(port=port))
        expect.answered("codex, config.toml", self._codex.exec(["hi"]))

    def _check_shutdown(self, port, proxy, info, log, expect):
        outcome = run(["curl", "-sS", "--fail", f"http://127.0.0.1:{port}/shutdown"])
        if outcome.status:
            expect.failed("shutdown", f"curl: {outcome.last_line}")
            return
        try:
            status = proxy.wait(SHUTDOWN)
        except subprocess.TimeoutExpired:
            expect.failed("shutdown", f"the proxy still runs after {SHUTDOWN} s")
            return
        if status:
            expect.failed("shutdown", f"the proxy ended with {status}: {last_line(log.read_text(errors='replace'))}")
        elif info.exists():
            expect.failed("shutdown", "left the server info behind")
        else:
            expect.ok("shutdown", "exit 0, server info removed")
