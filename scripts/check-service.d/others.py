"""The package where there is no systemd: under OpenRC, and under runit."""

import life
from life import OPEN_POLICY, expect

KEY = "/etc/credstore/codex-proxy.openai"
# What alice is answered by an upstream that takes half a minute: longer than the proxy lets an answer go on when it ends.
ANSWER = "/home/alice/answer"
ASK = f"""\
body='{{"model": "gpt-5", "input": "hi", "stream": true}}'
exec 3<>/dev/tcp/127.0.0.1/8787
printf 'POST /v1/responses HTTP/1.1\\r\\nHost: 127.0.0.1:8787\\r\\nContent-Type: application/json\\r\\n' >&3
printf 'Content-Length: %d\\r\\n\\r\\n%s' "${{#body}}" "$body" >&3
cat <&3 >{ANSWER}
"""


def a_slow_upstream_is_there(host):
    host.in_background(
        "mock-upstream --h2 --port 9444 --ca-out /etc/ssl/slow.pem --info /run/slow.json --model gpt-5 "
        f"--events 30 --interval-ms 1000 --key {host.keys[0]}",
        "/run/slow.json",
    )
    host.write("/usr/local/bin/ask", ASK)


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
    is_removed_amid_an_answer(host)
    is_purged_amid_an_answer(host)
    host.container.run("rm", "-r", "/run/openrc", check=True)


def it_serves_under_runit(host):
    host.container.run("mkdir", "-p", "/etc/service", "/etc/sv", check=True)
    host.container.shell("setsid runsvdir -P /etc/service </dev/null >/dev/null 2>&1 & disown", check=True)
    serves(host)
    is_removed_amid_an_answer(host)
    is_purged_amid_an_answer(host)


def serves(host):
    life.use_the_mock_upstream(host)
    status, said = host.set_up("--allow-user", "alice", key=host.keys[0])
    expect(status == 0 and "ok: alice may call" in said, said)
    expect(host.ask("alice")[0] == 0 and host.ask("bob")[0] != 0, "not alice alone may call")
    owner = host.container.shell("ps -o user:32= -p $(pidof codex-responses-api-proxy | tr ' ' ,)")[1]
    expect("codex-proxy" in owner, f"it runs as {owner}")
    for file in (KEY, "/var/lib/codex-proxy/ledger"):
        expect(host.container.run("test", "-e", file)[0] == 0, f"there is no {file}")
        expect(host.container.run("head", "-c", "0", file, user="alice")[0] != 0, f"alice can open {file}")
    status, said = host.set_up("--rotate", key=host.keys[1])
    expect(status == 0 and "replaced" in said, said)
    life.wait_for_key(host, host.keys[1])
    status, said = host.set_up("--remove")
    expect(status == 0 and "is stopped, and the key is removed" in said, said)
    is_gone(host)


def is_gone(host):
    expect(host.container.shell("pidof codex-responses-api-proxy")[0] != 0, "it still runs")
    expect(host.container.run("test", "-e", KEY)[0] != 0, "the key is there")


def begins_an_answer(host):
    """Starts the proxy, and asks for what is on its way for half a minute."""
    life.use_the_mock_upstream(host, 9444, "/etc/ssl/slow.pem")
    status, said = host.set_up("--allow-user", "alice", key=host.keys[0])
    expect(status == 0, said)
    host.container.run("rm", "-f", ANSWER, check=True)
    host.in_background("runuser -u alice -- bash /usr/local/bin/ask", ANSWER)


def was_under_way(host):
    """Else nothing had to be waited for."""
    answer = host.container.run("cat", ANSWER, check=True)[1]
    expect("word0" in answer and "response.completed" not in answer, answer)


def is_removed_amid_an_answer(host):
    begins_an_answer(host)
    status, said = host.set_up("--remove")
    expect(status == 0 and "is stopped, and the key is removed" in said, said)
    was_under_way(host)
    is_gone(host)


def is_purged_amid_an_answer(host):
    begins_an_answer(host)
    # Of the account, and nobody ends it: all but the account goes, and that with the next purge.
    host.container.shell("setsid runuser -u codex-proxy -- sleep 600 </dev/null >/dev/null 2>&1 & disown")
    status, said = host.container.run("dpkg", "--purge", "codex-proxy")
    expect(status != 0 and "purge again" in said, said)
    was_under_way(host)
    is_gone(host)
    kept = host.container.run("ls", "-A", "/etc/codex-proxy", check=True)[1].split()
    expect(kept == [".account"], f"kept: {kept}")
    host.container.shell("pkill -u codex-proxy; while pgrep -u codex-proxy >/dev/null; do sleep 0.1; done", check=True)
    host.container.run("dpkg", "--purge", "codex-proxy", check=True)
    # OpenRC has notes of its own about each service that it knew.
    ours = [name for name in host.files() - host.before if "codex-proxy" in name]
    left = [name for name in ours if not name.startswith(("/var/lib/dpkg/", "/run/openrc/"))]
    expect(not left, f"left behind: {sorted(left)}")


STEPS = (a_slow_upstream_is_there, it_is_installed, it_serves_under_openrc, it_is_installed, it_serves_under_runit)
