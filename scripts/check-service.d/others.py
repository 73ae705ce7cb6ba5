"""The package where there is no systemd: under OpenRC, and under runit."""

import life
from life import OPEN_POLICY, expect


def it_is_installed(host):
    host.container.run("dpkg", "-i", host.packages[0], check=True)
    host.write("/etc/codex-proxy/policy.toml", OPEN_POLICY)


def it_serves_under_openrc(host):
    # What OpenRC leaves of having booted the system.
    host.container.shell("mkdir -p /run/openrc && touch /run/openrc/softlevel", check=True)
    # Of initscripts, which debootstrap cannot install beside OpenRC; a container's file systems are mounted.
    host.container.shell("cat >/etc/init.d/localmount && chmod 755 /etc/init.d/localmount", stdin="#!/sbin/openrc-run\nstart() { :; }\n")
    host.container.shell("rc-update -u", check=True)
    serves(host)
    host.container.run("rm", "-r", "/run/openrc", check=True)


def it_serves_under_runit(host):
    host.container.run("mkdir", "-p", "/etc/service", "/etc/sv", check=True)
    host.container.shell("setsid runsvdir -P /etc/service </dev/null >/dev/null 2>&1 & disown", check=True)
    serves(host)


def serves(host):
    life.use_the_mock_upstream(host)
    status, said = host.set_up("--allow-user", "alice", key=host.keys[0])
    expect(status == 0 and "ok: alice may call" in said, said)
    expect(host.ask("alice")[0] == 0 and host.ask("bob")[0] != 0, "not alice alone may call")
    owner = host.container.shell("ps -o user:32= -p $(pidof codex-responses-api-proxy | tr ' ' ,)")[1]
    expect("codex-proxy" in owner, f"it runs as {owner}")
    for file in ("/etc/credstore/codex-proxy.openai", "/var/lib/codex-proxy/ledger"):
        expect(host.container.run("test", "-e", file)[0] == 0, f"there is no {file}")
        expect(host.container.run("head", "-c", "0", file, user="alice")[0] != 0, f"alice can open {file}")
    status, said = host.set_up("--rotate", key=host.keys[1])
    expect(status == 0 and "replaced" in said, said)
    life.wait_for_key(host, host.keys[1])
    status, said = host.set_up("--remove")
    expect(status == 0 and "is stopped, and the key is removed" in said, said)
    expect(host.container.shell("pidof codex-responses-api-proxy")[0] != 0, "it still runs")


STEPS = (it_is_installed, it_serves_under_openrc, it_serves_under_runit)
