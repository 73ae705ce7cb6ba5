"""What README.md and docs/service.md tell an administrator to type, typed."""

import json
import os

from document import Documents
from life import expect, use_the_mock_upstream

DOCUMENTS = Documents(os.getcwd())


def what_the_readme_looks_with(host):
    """As a caller where it has no sudo, and on a terminal where it needs one."""
    look, status, top, why = DOCUMENTS["README.md"].commands("codex-proxy doctor")
    code, said = host.container.run(*look.split(), user="alice")
    # Red where the host is: what it says of the proxy is looked at elsewhere.
    expect(code in (0, 1) and "ok" in said, said)
    code, said = host.container.run(*status.split())
    expect(code == 0 and "state:        serving" in said, said)
    terminal = host.container.terminal(*top.split())
    terminal.wait("alice")
    os.write(terminal.fd, b"q")
    os.waitpid(terminal.child, 0)
    record = json.loads(host.container.run("tail", "-n", "1", "/var/log/codex-proxy/access.log", check=True)[1])
    code, said = host.container.run(*why.replace("REQUEST_ID", record["id"]).split())
    expect(code == 0 and record["id"] in said, said)


def the_set_up_asks_on_a_terminal(host):
    """The page's first block: who may call, and the key, which is not shown."""
    *_, set_up = DOCUMENTS["docs/service.md"].commands("packaging/build-deb")
    use_the_mock_upstream(host)
    terminal = host.container.terminal(*set_up.split())
    terminal.wait("Users who may call, separated by spaces (%GROUP for the members of a group): ")
    terminal.send("alice")
    terminal.wait("API key (it is not shown): ")
    terminal.send(host.keys[0])
    shown = terminal.wait("ok: alice may call")
    expect(host.keys[0] not in shown, "the key was shown")
    expect(host.ask("alice")[0] == 0, "a request failed")
    (rotate,) = DOCUMENTS["docs/service.md"].commands("--rotate")
    terminal = host.container.terminal(*rotate.split())
    terminal.wait("API key (it is not shown): ")
    terminal.send(host.keys[1])
    terminal.wait("key: replaced")
    expect(host.ask("alice")[0] == 0 and host.last_key() == host.keys[1], "requests go with the old key")


def it_is_set_up_by_hand(host):
    encrypt, edit, enable = DOCUMENTS["docs/service.md"].commands("systemd-creds encrypt")
    use_the_mock_upstream(host)
    host.container.shell(encrypt, stdin=host.keys[0], check=True)
    host.container.shell(edit.replace("sensible-editor", "sed -i 's/--allow-user root$/--allow-user alice/'"), check=True)
    host.container.shell(enable, check=True)
    expect(host.ask("alice")[0] == 0 and host.ask("bob")[0] != 0, "not alice alone may call")
