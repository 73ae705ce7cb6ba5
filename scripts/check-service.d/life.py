"""The life of a service that works: installed, set up, used, rotated, upgraded, removed."""

import json
import re
import secrets
import shutil
import time

from load import Load

REQUESTS = 10_000
SECURE_ENOUGH = 1.5
OPEN_POLICY = '[everyone]\nmodels = ["gpt-*"]\n'


def expect(condition, otherwise):
    if not condition:
        raise AssertionError(otherwise)


class Host:
    """A container with two users, a mock upstream that takes two keys, and the packages."""

    def __init__(self, container, packages, mock):
        self.container = container
        self.keys = [f"sk-test-{secrets.token_hex(16)}" for _ in range(2)]
        self.packages = []
        for number, package in enumerate(packages):
            shutil.copy(package, container.path(f"root/codex-proxy-{number}.deb"))
            self.packages.append(f"/root/codex-proxy-{number}.deb")
        for user in ("alice", "bob", "carol"):
            container.run("useradd", "-m", user, check=True)
        shutil.copy(mock, container.path("usr/local/bin/mock-upstream"))
        takes = " ".join(f"--key {key}" for key in self.keys)
        # The record is what the upstream got: which key a request went up with.
        self.in_background(
            "mock-upstream --h2 --port 9443 --ca-out /etc/ssl/mock.pem --info /run/mock.json --record /root/record "
            f"--model gpt-5 {takes}",
            "/run/mock.json",
        )
        self.before = self.files()

    def in_background(self, command, until_there):
        self.container.shell(f"setsid {command} </dev/null >/dev/null 2>&1 & disown")
        for _ in range(100):
            if self.container.shell(f"test -s {until_there}")[0] == 0:
                return
            time.sleep(0.1)
        raise AssertionError(f"{command} does not start")

    def files(self):
        """What a package could have left: every file where packages put some, users, groups and units."""
        listed = "find /etc /usr /var /run /home /opt /srv -xdev -not -path '/run/systemd/*' -not -path '/usr/share/man*'"
        names = set(self.container.shell(listed)[1].splitlines())
        names |= set(self.container.shell("getent passwd; getent group; mount | cut -d ' ' -f 3")[1].splitlines())
        return names

    def set_up(self, *arguments, key=None):
        key_file = ["--key-file", "-"] if key else []
        return self.container.run("codex-proxy-setup", *arguments, *key_file, stdin=f"{key}\n" if key else None)

    def write(self, path, text):
        """A new file in the place of the old one, as editors and configuration management do it."""
        self.container.shell(f"cat > {path}.new && chmod 644 {path}.new && mv {path}.new {path}", stdin=text, check=True)

    def ask(self, user):
        command = ["codex-proxy", "exec", "--ephemeral", "--skip-git-repo-check", "-m", "gpt-5"]
        command += ["-c", "model_provider=local-proxy", "--server-info", "/run/codex-proxy/server-info.json", "hi"]
        return self.container.run(*command, user=user)

    def last_key(self):
        """The key of the last request that reached the upstream."""
        line = self.container.run("tail", "-n", "1", "/root/record", check=True)[1]
        headers = dict(json.loads(line)["headers"])
        return headers["authorization"].removeprefix("Bearer ")

    def main_pid(self):
        return self.container.run("systemctl", "show", "-P", "MainPID", "codex-proxy.service")[1].strip()


def an_account_that_is_not_ours_stops_the_installation(host):
    run = host.container.run
    run("useradd", "--create-home", "codex-proxy", check=True)
    status, said = run("dpkg", "-i", host.packages[0])
    expect(status != 0, "it was installed over an account of somebody's")
    expect("usermod --login" in said and "did not make" in said, said)
    expect(run("test", "-e", "/usr/bin/codex-responses-api-proxy")[0] != 0, "it left a program")
    run("userdel", "--remove", "codex-proxy", check=True)
    run("dpkg", "--purge", "codex-proxy")


def it_is_installed_and_not_started(host):
    shell = host.container.shell
    shell(f"apt-get install -y --no-install-recommends {host.packages[0]}", check=True)
    for program in ("/usr/bin/codex-responses-api-proxy", "/usr/lib/codex-proxy/bin/codex"):
        found = shell(f"stat -c '%U %a' {program}")[1].strip()
        expect(found == "root 711", f"{program}: {found}")
    expect(host.container.run("cat", "/usr/bin/codex-responses-api-proxy", user="alice")[0] != 0, "it can be read")
    expect(shell("getent passwd codex-proxy | cut -d: -f6,7")[1].strip().endswith("nologin"), "somebody can log in")
    expect(shell("systemctl is-active codex-proxy.socket")[0] != 0, "it was started without a key")
    expect("--allow-user root\n" in shell("cat /etc/codex-proxy/options")[1], "not only root may call")


def use_the_mock_upstream(host, port=9443, authorities="/etc/ssl/mock.pem"):
    """In the options as they are installed."""
    host.container.shell(
        f"sed -i '/^CODEX_PROXY_OPTIONS=/s|$| --upstream-url https://localhost:{port}/v1/responses|' /etc/codex-proxy/options && "
        f"echo SSL_CERT_FILE={authorities} >> /etc/codex-proxy/options",
        check=True,
    )


def the_set_up_starts_it_and_sees_that_it_works(host):
    host.write("/etc/codex-proxy/policy.toml", OPEN_POLICY)
    use_the_mock_upstream(host)
    status, said = host.set_up(key=host.keys[0])
    expect(status == 1 and "nobody was named" in said, said)
    status, said = host.set_up("--allow-user", "alice", key=host.keys[0])
    expect(status == 0 and "ok: alice may call" in said and "model_provider" in said, said)
    expect(host.keys[0] not in said, "the set-up showed the key")
    status, said = host.container.run("codex-responses-api-proxy", "status", "--json")
    expect(status == 0 and json.loads(said), said)


def the_unit_is_confined(host):
    said = host.container.run("systemd-analyze", "security", "--no-pager", "codex-proxy.service")[1]
    level = float(re.search(r"Overall exposure level for codex-proxy.service: ([0-9.]+)", said)[1])
    expect(level <= SECURE_ENOUGH, f"exposure level {level}")
    said = host.container.shell("journalctl -u codex-proxy.service -o cat | grep -E '^(not applied|warning|hint):'")[1]
    expect(not said, said)
    return f"exposure level {level}"


def an_allowed_user_is_answered_and_another_is_refused(host):
    status, said = host.ask("alice")
    expect(status == 0 and "word4" in said, said)
    status, said = host.ask("bob")
    expect(status != 0 and "caller_not_allowed" in said or "may not" in said, said)


def members_of_a_group_may_call_and_everybody_if_asked_for(host):
    host.container.shell("groupadd agents && usermod -aG agents bob", check=True)
    status, said = host.set_up("--allow-group", "agents")
    expect(status == 0 and "ok: it answers" in said, said)
    expect(host.ask("bob")[0] == 0 and host.ask("alice")[0] != 0, "not only members may call")
    status, said = host.set_up("--everybody")
    expect(status == 0, said)
    expect(host.ask("bob")[0] == 0 and host.ask("alice")[0] == 0, "not everybody may call")
    status, said = host.set_up("--allow-user", "alice")
    expect(status == 0 and host.ask("bob")[0] != 0, said)
    host.container.run("groupdel", "agents", check=True)


def the_key_cannot_be_read(host):
    pid = host.main_pid()
    files = ["/etc/credstore.encrypted/codex-proxy.openai", "/run/credentials/codex-proxy.service/openai"]
    files += [f"/proc/{pid}/mem", f"/proc/{pid}/environ", "/var/lib/codex-proxy/ledger", "/var/log/codex-proxy/access.log"]
    for file in files:
        expect(host.container.run("test", "-e", file)[0] == 0, f"there is no {file}")
        expect(host.container.run("head", "-c", "0", file, user="alice")[0] != 0, f"alice can open {file}")
    expect(host.container.run("grep", "-rqF", host.keys[0], "/etc", "/var")[0] == 1, "the key is in a file")
    expect(host.keys[0] not in host.container.run("journalctl", "-o", "export")[1], "the key is in the journal")


def a_key_is_replaced_while_requests_go_on(host):
    pid = host.main_pid()
    load = Load(host.container, 1000, 2000)
    load.await_left(1000)
    status, said = host.set_up("--rotate", key=host.keys[1])
    expect(status == 0 and "replaced" in said, said)
    outcomes = load.outcomes()
    expect(outcomes == {"ok": 2000}, outcomes)
    expect(host.ask("alice")[0] == 0 and host.last_key() == host.keys[1], "requests go with the old key")
    # By systemd's own command, as a tool that writes the credential would.
    host.container.shell(
        "systemd-creds encrypt --name=openai - /etc/credstore.encrypted/codex-proxy.openai 2>/dev/null && "
        "systemctl reload codex-proxy",
        stdin=host.keys[0],
        check=True,
    )
    wait_for_key(host, host.keys[0])
    expect(host.main_pid() == pid, "it was restarted")


def wait_for_key(host, key):
    """A reload is done when systemd says so, and the key read a moment later."""
    for _ in range(20):
        expect(host.ask("alice")[0] == 0, "a request failed")
        if host.last_key() == key:
            return
        time.sleep(0.1)
    raise AssertionError("requests go with the old key after a reload")


def a_policy_is_replaced_by_reload(host):
    host.write("/etc/codex-proxy/policy.toml", '[everyone]\nmodels = ["o4-*"]\n')
    host.container.run("systemctl", "reload", "codex-proxy", check=True)
    for _ in range(20):
        status, said = host.ask("alice")
        if status != 0:
            break
        time.sleep(0.1)
    expect(status != 0 and "o4-" in said, said)
    host.write("/etc/codex-proxy/policy.toml", "[everyone]\nmodles = []\n")
    expect(host.container.run("systemctl", "reload", "codex-proxy")[0] != 0, "a wrong policy was reloaded")
    said = host.container.run("journalctl", "-u", "codex-proxy.service", "-o", "cat", "-n", "20")[1]
    expect("not reloaded" in said and "modles" in said, said)
    host.write("/etc/codex-proxy/policy.toml", OPEN_POLICY)
    host.container.run("systemctl", "reload", "codex-proxy", check=True)


def the_access_log_is_rotated(host):
    host.container.run("logrotate", "--force", "/etc/logrotate.d/codex-proxy", check=True)
    for _ in range(20):
        expect(host.ask("alice")[0] == 0, "a request failed")
        if host.container.run("test", "-s", "/var/log/codex-proxy/access.log")[0] == 0:
            break
        time.sleep(0.1)
    line = host.container.run("tail", "-n", "1", "/var/log/codex-proxy/access.log", check=True)[1]
    expect(json.loads(line)["caller.user"] == "alice", line)
    expect(host.container.run("test", "-s", "/var/log/codex-proxy/access.log.1")[0] == 0, "the old log is gone")


def nobody_is_refused_over_restart_and_upgrade(host):
    pid = host.main_pid()
    load = Load(host.container, 1000, REQUESTS)
    load.await_left(8000)
    host.container.run("systemctl", "restart", "codex-proxy.service", check=True)
    expect(host.main_pid() != pid, "it was not restarted")
    load.await_left(6000)
    pid = host.main_pid()
    upgraded = subprocess_time(lambda: host.container.run("dpkg", "-i", host.packages[1], check=True))
    expect(host.main_pid() != pid, "the upgrade did not restart it")
    outcomes = load.outcomes()
    expect(outcomes == {"ok": REQUESTS}, outcomes)
    return f"{REQUESTS} requests, 0 refused; the upgrade took {upgraded:.1f} s"


def subprocess_time(action):
    began = time.monotonic()
    action()
    return time.monotonic() - began


def the_key_in_use_is_not_a_new_one(host):
    status, said = host.set_up("--rotate", key=host.keys[0])
    expect(status == 1 and "in use already" in said, said)
    host.container.shell("sed -i 's|^CODEX_PROXY_KEY=.*|CODEX_PROXY_KEY=--key-file /root/key|' /etc/codex-proxy/options", check=True)
    status, said = host.set_up("--rotate", key=host.keys[1])
    expect(status == 1 and "/root/key" in said, said)
    host.container.shell("sed -i 's|^CODEX_PROXY_KEY=.*|CODEX_PROXY_KEY=--key-credential openai|' /etc/codex-proxy/options", check=True)
    expect(host.ask("alice")[0] == 0, "a request failed")


def it_is_removed(host):
    status, said = host.set_up("--remove")
    expect(status == 0 and "is stopped, and the key is removed" in said, said)
    expect(host.container.shell("systemctl is-active codex-proxy.socket codex-proxy.service")[0] != 0, "it still runs")
    expect(host.container.shell("ls /etc/credstore.encrypted/codex-proxy.openai")[0] != 0, "the key is there")
    expect("--allow-user root\n" in host.container.shell("cat /etc/codex-proxy/options")[1], "not only root may call")


def sudo_is_given_up(host):
    run = host.container.run
    run("usermod", "-aG", "sudo", "carol", check=True)
    status, said = run("codex-proxy-give-up-sudo", "carol")
    expect(status == 1 and "--confirm carol" in said and "(ALL : ALL) ALL" in said, said)
    host.container.shell("setsid runuser -u carol -- sleep 60 </dev/null >/dev/null 2>&1 & disown")
    status, said = run("codex-proxy-give-up-sudo", "carol", "--confirm", "carol")
    expect(status == 1 and "may run nothing" in said and "keep these groups" in said, said)
    host.write("/etc/sudoers.d/carol", "carol ALL=(root) /usr/bin/id\n")
    status, said = run("codex-proxy-give-up-sudo", "carol", "--confirm", "carol")
    expect(status == 1 and "/usr/bin/id" in said and "visudo" in said, said)
    run("rm", "/etc/sudoers.d/carol", check=True)


def purge_leaves_nothing(host):
    host.container.run("apt-get", "purge", "-y", "codex-proxy", check=True)
    # What the system itself keeps, and what the other checks made.
    others = re.compile(
        r"/var/(log|cache|lib/(dpkg|apt|logrotate|systemd|private))|/run/(log|sudo|lock|credentials$|user|dbus)|/etc/(passwd|group|shadow|gshadow)-?$|"
        r"/etc/\.pwd\.lock|/etc/(sub[ug]id)|/root|carol|/etc/ld\.so|/usr/local/bin/mock|sudo:x|/var/spool"
    )
    ours = [name for name in host.files() - host.before if not others.search(name) or "codex-proxy" in name]
    left = [name for name in ours if not name.startswith("/var/lib/dpkg")]
    expect(not left, f"left behind: {sorted(left)}")
    listening = host.container.run("ss", "-Hltn", "sport = :8787")[1]
    expect(not listening.strip(), listening)
    expect("codex" not in host.container.run("ps", "-eo", "args")[1], "a process is left")
