"""Goes through the life of the service in a container for each suite, and says what holds."""

import argparse
import contextlib
import os
import sys
import time

import conflicts
import documented
import failures
import life
import others
from container import CannotRun, Container, Plain

# In the order in which they happen to one system: each leaves the service as the next one needs it.
STEPS = (
    life.an_account_that_is_not_ours_stops_the_installation,
    life.it_is_installed_and_not_started,
    failures.without_a_key_it_says_so,
    life.the_set_up_starts_it_and_sees_that_it_works,
    life.the_unit_is_confined,
    life.an_allowed_user_is_answered_and_another_is_refused,
    documented.what_the_readme_looks_with,
    life.members_of_a_group_may_call_and_everybody_if_asked_for,
    life.the_key_cannot_be_read,
    life.a_key_is_replaced_while_requests_go_on,
    life.a_policy_is_replaced_by_reload,
    life.the_access_log_is_rotated,
    life.nobody_is_refused_over_restart_and_upgrade,
    conflicts.it_runs_on_while_it_is_deconfigured,
    conflicts.a_removal_that_is_given_up_starts_it_again,
    failures.a_key_of_another_machine,
    failures.a_refused_key,
    life.the_key_in_use_is_not_a_new_one,
    failures.a_taken_port,
    failures.a_wrong_policy,
    failures.a_page_that_cannot_be_locked,
    life.it_is_removed,
    documented.the_set_up_asks_on_a_terminal,
    life.it_is_removed,
    documented.it_is_set_up_by_hand,
    life.it_is_removed,
    life.sudo_is_given_up,
    life.purge_leaves_nothing,
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cache", required=True)
    parser.add_argument("--suites", required=True)
    parser.add_argument("--packages", nargs=2, required=True)
    parser.add_argument("--mock", required=True)
    parser.add_argument("--others", help="the suite where there is OpenRC or runit")
    parser.add_argument("--keep", action="store_true")
    args = parser.parse_args()
    broken = 0
    for suite in filter(None, args.suites.split(",")):
        broken += check(Container(suite, args.cache), STEPS, args)
    if args.others:
        broken += check(Plain(args.others, args.cache, "-without-systemd"), others.STEPS, args)
    return 1 if broken else 0


def check(container, steps, args):
    """Takes the steps in the container until one does not hold, and gives how many that were."""
    print(f"== {os.path.basename(container.root).removesuffix('-running')}", flush=True)
    with contextlib.ExitStack() as ends:
        if args.keep:
            ends.callback(
                print, f"nsenter -t {container.init} -a -r    # in {container.suite}, until process {container.init} is killed"
            )
        else:
            ends.callback(container.end)
        host = life.Host(container, args.packages, args.mock)
        for step in steps:
            began = time.monotonic()
            name = step.__name__.replace("_", " ")
            try:
                found = step(host)
            except (AssertionError, KeyError, ValueError, SystemExit) as error:
                print(f"BROKEN  {name}: {error}", flush=True)
                print(container.shell("systemctl status --no-pager --lines 20 codex-proxy.socket codex-proxy.service")[1])
                return 1
            seconds = time.monotonic() - began
            print(f"ok {seconds:5.1f} s  {name}{f' ({found})' if found else ''}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except CannotRun as error:
        sys.exit(f"check-service: {error}")
