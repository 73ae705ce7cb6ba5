"""Installs the clients, checks each over both kinds of upstream and prints a table: see scripts/compat --help."""

import argparse
import os
import pathlib
import re
import signal
import sys

from clients import CLIENTS
from exec_answers import check_answers
from expectations import Expectations
from install import CannotInstall
from processes import Background, CannotRun
from refusals import measure
from servers import allowed_callers, serve
from table import Table, check_page, write_page

# Installing may need the user's proxies and certificates. What follows is about loopback only.
MISLEADING = re.compile(r".*_proxy|(openai|codex|ssl_cert)_.*|node_options|pythonpath", re.IGNORECASE)


def arguments():
    parser = argparse.ArgumentParser(prog="compat", add_help=False, allow_abbrev=False)
    parser.add_argument("--bin", type=pathlib.Path, required=True)
    parser.add_argument("--cache", type=pathlib.Path, required=True)
    parser.add_argument("--callers", required=True)
    parser.add_argument("--refusals", type=pathlib.Path)
    parser.add_argument("--answers", action="store_true")
    parser.add_argument("--page", type=pathlib.Path)
    parser.add_argument("--check-page", type=pathlib.Path)
    parser.add_argument("clients", nargs="+", choices=CLIENTS)
    return parser.parse_args()


def installed(clients, table):
    """Those of the clients that can be checked; a row says why another cannot."""
    for client in clients:
        try:
            client.install()
        except CannotInstall as error:
            table.row(client.name, "-", "-", "skipped", str(error))
        else:
            yield client


def check(args, background):
    table = Table()
    table.row("CLIENT", "UPSTREAM", "CHECK", "RESULT", "DETAIL")
    clients = list(installed([CLIENTS[name](args, background) for name in args.clients], table))
    for name in list(os.environ):
        if MISLEADING.fullmatch(name):
            del os.environ[name]

    callers = allowed_callers(args.callers, background.tmp)
    for via in ("http", "h2"):
        servers = serve(via, args.bin, callers, background)
        for client in clients:
            client.check(servers, Expectations(table, client, via, servers))
    if table.failures:
        print(f"{table.failures} failed", file=sys.stderr)
        return 1
    if args.page or args.check_page:
        if table.skipped:
            raise CannotRun("the page is about all clients, and some were skipped")
        if args.page:
            write_page(args.page, table)
        elif not check_page(args.check_page, table):
            print(f"{args.check_page} says something else than was measured", file=sys.stderr)
            return 1
    return 0


def refusals(args, background):
    for name in list(os.environ):
        if MISLEADING.fullmatch(name) and not name.lower().startswith(("ssl_cert", "http", "all_", "no_")):
            del os.environ[name]
    try:
        page, wrong = measure(args, background)
    except CannotInstall as error:
        raise CannotRun(str(error)) from error
    args.refusals.write_text(page)
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


def answers(args, background):
    for name in list(os.environ):
        if MISLEADING.fullmatch(name) and not name.lower().startswith(("ssl_cert", "http", "all_", "no_")):
            del os.environ[name]
    try:
        return check_answers(args, background)
    except CannotInstall as error:
        raise CannotRun(str(error)) from error


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with Background() as background:
            if args.answers:
                return answers(args, background)
            return refusals(args, background) if args.refusals else check(args, background)
    except CannotRun as error:
        print(f"compat: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


sys.exit(main())
