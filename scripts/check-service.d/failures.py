"""Every start that has to fail says why in one line, with what to do: in `systemctl status`, and in codex-proxy-setup."""

from life import OPEN_POLICY, expect


def said_by_the_socket(host):
    """What `systemctl status` shows of a port that cannot be had."""
    host.container.run("systemctl", "reset-failed", "codex-proxy.socket", "codex-proxy.service")
    expect(host.container.run("systemctl", "start", "codex-proxy.socket")[0] != 0, "it started")
    said = host.container.run("systemctl", "status", "--no-pager", "--full", "codex-proxy.socket")[1]
    lines = [line for line in said.splitlines() if " port " in line]
    expect(len(lines) == 1, said)
    return lines[0]


def said_by_the_service(host):
    """What a failed start leaves in `systemctl status`: the error alone, and not the lines of systemd."""
    host.container.run("systemctl", "reset-failed", "codex-proxy.socket", "codex-proxy.service")
    host.container.run("systemctl", "stop", "codex-proxy.socket", "codex-proxy.service")
    status, _ = host.container.run("systemctl", "start", "codex-proxy.service")
    expect(status != 0, "it started")
    said = host.container.run("systemctl", "status", "--no-pager", "--full", "codex-proxy.service")[1]
    lines = [line for line in said.splitlines() if "Error: " in line]
    expect(len(lines) <= 1, said)
    return lines[0].split("Error: ", 1)[1] if lines else said


def said_by_the_set_up(host, *arguments, key=None):
    status, said = host.set_up(*arguments, key=key)
    expect(status == 1, f"status {status}: {said}")
    lines = [line for line in said.splitlines() if line.startswith("codex-proxy-setup: ")]
    expect(len(lines) == 1, said)
    return lines[0]


def works_again(host):
    status, said = host.set_up("--allow-user", "alice")
    expect(status == 0, said)
    expect(host.ask("alice")[0] == 0, "a request failed")


def without_a_key_it_says_so(host):
    said = said_by_the_service(host)
    expect("--key-credential openai" in said and "codex-proxy-setup" in said, said)


def a_key_of_another_machine(host):
    host.container.shell("mv /var/lib/systemd/credential.secret /root/ && systemd-creds setup 2>/dev/null", check=True)
    said = said_by_the_set_up(host)
    expect("another machine" in said and "codex-proxy-setup --rotate" in said, said)
    host.container.shell("mv -f /root/credential.secret /var/lib/systemd/", check=True)
    works_again(host)


def a_refused_key(host):
    said = said_by_the_set_up(host, "--key-file", "-", key="sk-test-nobody-takes-this")
    expect("refuses the key (401 Unauthorized)" in said and "codex-proxy-setup --rotate" in said, said)
    said = said_by_the_service(host)
    expect("refuses the key (401 Unauthorized)" in said and "replace it" in said, said)
    # Callers who come meanwhile do not have systemd give the port away.
    host.container.run("systemctl", "start", "codex-proxy.socket", check=True)
    for _ in range(10):
        host.container.shell("timeout 1 bash -c 'exec 3<>/dev/tcp/127.0.0.1/8787; cat <&3' >/dev/null; true", check=True)
    _, state = host.container.run("systemctl", "is-active", "codex-proxy.socket")
    expect(state.strip() == "active", f"the socket is {state}")
    status, said = host.set_up("--rotate", key=host.keys[0])
    expect(status == 0, said)
    works_again(host)


def a_taken_port(host):
    host.container.run("systemctl", "stop", "codex-proxy.socket", "codex-proxy.service", check=True)
    host.in_background("mock-upstream --port 8787 --info /run/taken.json", "/run/taken.json")
    said = said_by_the_set_up(host)
    expect("port 8787 is taken by mock-upstream, process" in said and "systemctl edit" in said, said)
    said = said_by_the_socket(host)
    expect("port 8787 is taken by mock-upstream, process" in said and "systemctl edit" in said, said)
    host.container.shell("kill $(pidof -s mock-upstream); rm /run/taken.json", check=True)
    works_again(host)


def a_wrong_policy(host):
    host.write("/etc/codex-proxy/policy.toml", "[everyone]\nmodles = []\n")
    said = said_by_the_set_up(host)
    expect("policy.toml" in said and "modles" in said, said)
    said = said_by_the_service(host)
    expect("policy.toml" in said and "modles" in said, said)
    host.write("/etc/codex-proxy/policy.toml", OPEN_POLICY)
    works_again(host)


def a_page_that_cannot_be_locked(host):
    limits = "/etc/systemd/system/codex-proxy.service.d/no-lock.conf"
    host.container.run("mkdir", "-p", "/etc/systemd/system/codex-proxy.service.d", check=True)
    host.write(limits, "[Service]\nLimitMEMLOCK=0\n")
    host.container.run("systemctl", "daemon-reload", check=True)
    said = said_by_the_set_up(host)
    expect("could not lock the key's page" in said and "LimitMEMLOCK" in said, said)
    said = said_by_the_service(host)
    expect("could not lock the key's page" in said, said)
    host.container.shell(f"rm {limits} && systemctl daemon-reload", check=True)
    works_again(host)
