"""What dpkg does to the package in favour of another one: nobody else gets the port meanwhile."""

from life import expect


def make(host, *fields, preinst=":"):
    """Another package, which has nothing but these fields and this script; gives where it is."""
    lines = ("Package: in-the-way", "Version: 1", "Architecture: all", "Maintainer: nobody <nobody@localhost>", *fields)
    host.container.shell("rm -rf /root/in-the-way && install -d -m 755 /root/in-the-way/DEBIAN", check=True)
    host.write("/root/in-the-way/DEBIAN/control", "\n".join(lines) + "\nDescription: is in the way\n")
    host.write("/root/in-the-way/DEBIAN/preinst", f"#!/bin/sh\n{preinst}\n")
    host.container.run("chmod", "755", "/root/in-the-way/DEBIAN/preinst", check=True)
    host.container.run("dpkg-deb", "--build", "/root/in-the-way", "/root/in-the-way.deb", check=True)
    return "/root/in-the-way.deb"


def state(host):
    """How far dpkg has the package."""
    return host.container.run("dpkg-query", "-W", "-f", "${db:Status-Status}", "codex-proxy", check=True)[1]


def runs(host):
    for unit in ("codex-proxy.socket", "codex-proxy.service"):
        for asked in ("is-active", "is-enabled"):
            status, said = host.container.run("systemctl", asked, unit)
            expect(status == 0, f"{unit} is {said.strip()}")
    expect(host.ask("alice")[0] == 0, "a request failed")


def it_runs_on_while_it_is_deconfigured(host):
    other = make(host, "Breaks: codex-proxy")
    # Fails, since it cannot be configured again as long as the other one is there.
    _, said = host.container.run("dpkg", "--auto-deconfigure", "-i", other)
    expect(state(host) in ("half-configured", "unpacked"), said)
    runs(host)
    host.container.run("dpkg", "--purge", "in-the-way", check=True)
    host.container.run("dpkg", "--configure", "codex-proxy", check=True)
    expect(state(host) == "installed", state(host))
    runs(host)


def a_removal_that_is_given_up_starts_it_again(host):
    stopped = "systemctl is-active codex-proxy.socket >/root/in-the-way.found; exit 1"
    other = make(host, "Conflicts: codex-proxy", "Replaces: codex-proxy", preinst=stopped)
    status, said = host.container.run("dpkg", "-i", other)
    expect(status != 0 and state(host) == "installed", said)
    found = host.container.run("cat", "/root/in-the-way.found", check=True)[1].strip()
    expect(found == "inactive", f"the socket was {found} before the removal was given up")
    runs(host)
