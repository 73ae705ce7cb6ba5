"""Runs the attacks and prints a table: attack.py --binary PATH --root CHECKOUT, see scripts/attack --help."""

import argparse
import datetime
import importlib
import json
import os
import signal
import sys
import time
import traceback

from stage import CannotRun, Stage

# One file for each attack, in the order of docs/incidents.md.
ROWS = [
    "redactor_oracle",
    "early_grip",
    "stranger_gateway",
    "large_head",
    "aborted_requests",
    "unnoticed_leavers",
    "denied_crowd",
    "unread_terminal",
    "echoed_key",
    "foreign_server_info",
    "believed_server_info",
    "changed_hands",
    "endless_heads",
    "kept_memory",
    "documents",
    "named_authorities",
    "beside_on_ipv6",
    "silent_resolver",
    "user_namespace",
    "transfer_coding",
]

# No attack takes nearly as long; one that hangs is an error, not a verdict. Seconds.
LONGEST = 120


def too_long(*_):
    raise CannotRun("it did not come to an end")


def chosen(text):
    try:
        numbers = sorted({int(one) for one in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError("numbers and commas, such as 1,4,5") from None
    if not numbers or numbers[0] < 1 or numbers[-1] > len(ROWS):
        raise argparse.ArgumentTypeError(f"from 1 to {len(ROWS)}")
    return numbers


def arguments():
    parser = argparse.ArgumentParser(prog="attack", add_help=False, allow_abbrev=False)
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--binary")
    parser.add_argument("--root")
    parser.add_argument("--only", type=chosen, default=list(range(1, len(ROWS) + 1)))
    parser.add_argument("--json")
    parser.add_argument("--oracle-seconds", type=float, default=20.0)
    return parser.parse_args()


def run(number, module, stage, seconds):
    """One attack: (verdict, [what was seen], seconds it took)."""
    began = time.monotonic()
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(int(LONGEST + 5 * seconds))
    try:
        seen = list(module.attack(stage))
        verdict = "broken" if any(one.broken for one in seen) else "held"
        if not seen:
            verdict, seen = "error", []
    except CannotRun as error:
        verdict, seen = "error", [str(error)]
    except Exception as error:  # one attack that fails must not hide the others' results
        traceback.print_exc()
        verdict, seen = "error", [f"the attack itself failed: {type(error).__name__}: {error}"]
    finally:
        signal.alarm(0)
        stage.tear_down()
    return verdict, seen, time.monotonic() - began


def main():
    args = arguments()
    modules = {number: importlib.import_module(name) for number, name in enumerate(ROWS, 1)}
    if args.list:
        for number, module in modules.items():
            print(f"{number:2}  {module.NAME}")
        return 0
    stage = Stage(args.binary, args.root, args.oracle_seconds)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    results = []
    try:
        for number in args.only:
            module = modules[number]
            verdict, seen, took = run(number, module, stage, args.oracle_seconds)
            results.append({
                "row": number,
                "attack": module.NAME,
                "verdict": verdict,
                "seconds": round(took, 1),
                "seen": [one if isinstance(one, str) else one.as_dict() for one in seen],
            })
            print(f"{number:2}  {module.NAME:<62} {verdict:<6} {took:5.1f} s", flush=True)
            for one in seen:
                text = one if isinstance(one, str) else f"{one.what}: {one.figure}"
                mark = " " if isinstance(one, str) or not one.broken else "!"
                print(f"    {mark} {text}", flush=True)
    finally:
        stage.close()
    if args.json:
        when = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        with open(args.json, "w", encoding="utf-8") as out:
            json.dump({"binary": os.path.abspath(args.binary), "at": when, "rows": results}, out, indent=1)
            out.write("\n")
    verdicts = [one["verdict"] for one in results]
    print(f"{verdicts.count('held')} held, {verdicts.count('broken')} broken, {verdicts.count('error')} could not be run")
    if "error" in verdicts:
        return 2
    return 1 if "broken" in verdicts else 0


sys.exit(main())
