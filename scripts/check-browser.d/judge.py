"""Makes the table of what server.py wrote: judge.py DIR. Exits with 1 if an attack FAILED the test."""

import collections
import json
import pathlib
import re
import sys

REFUSAL = re.compile(r'(403 )?\{"error":')


def lines(name):
    file = pathlib.Path(sys.argv[1]) / name
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def show(request):
    """Of one request at the control: what a server can know it by."""
    words = [request["method"]]
    if "upgrade" in request:
        words.append("upgrade")
    if "origin" in request:
        words.append("Origin" if request["origin"] != "null" else "Origin:null")
    if "sec-fetch-site" in request:
        words.append(request["sec-fetch-site"])
    if not {"origin", "sec-fetch-site"} & set(request):
        words.append("Host:" + request.get("host", "").rsplit(":", 1)[0])
    return " ".join(words)


def judge(control, proxy, seen, own_origin):
    """What is wrong, or None."""
    if not proxy:
        return "did not run"
    if proxy["harm"]:
        return proxy["harm"]
    # A page can read what is of its own origin: after rebinding, a refusal.
    if proxy.get("readable") and not (own_origin and REFUSAL.match(proxy["saw"])):
        return "the page could read an answer"
    if not control:
        return "did not run against the control"
    if proxy.get("broken") or control.get("broken"):
        return "did not run"
    if control["must"] and not seen:
        return "the control did not see it: this attack shows nothing"
    return None


planned = collections.OrderedDict()
for plan in lines("plan"):
    for attack in plan["attacks"]:
        planned.setdefault((plan["set"], attack))
reports = {(r["target"], r["set"], r["attack"]): r for r in lines("reports")}
seen = collections.defaultdict(list)
for request in lines("seen"):
    # A new window also asks for its icon, which is nothing an attack wants.
    if request["during"] and request["path"] != "/favicon.ico":
        seen[tuple(request["during"])].append(request)

LAYOUT = "%-8s %-46s %-34s %-38s %s"
print(LAYOUT % ("PAGE", "ATTACK", "AT THE CONTROL", "THE PAGE SAW OF THE PROXY", "RESULT"))
failures = reached = readable = 0
for which, attack in planned:
    proxy = reports.get(("proxy", which, attack))
    control = reports.get(("control", which, attack))
    arrived = seen[(which, attack)]
    wrong = judge(control, proxy, arrived, which == "rebound")
    failures += wrong is not None
    reached += bool(arrived)
    readable += bool(control and control.get("readable"))
    at_control = "; ".join(dict.fromkeys(map(show, arrived))) or "- (nothing came)"
    saw = proxy["saw"].replace("\n", " ")[:38] if proxy else "-"
    print(LAYOUT % (which, attack, at_control, saw, f"FAILED: {wrong}" if wrong else "ok"))
ended = {"evil", "local", "rebound", "typed"} <= {which for which, _ in planned}
print(f"{len(planned)} attacks, {reached} reached the control, which {readable} could read; {failures} failed")
if not readable:
    print("FAILED: no page could read the control: a page that reads would not be noticed")
if not ended:
    print("FAILED: the browser did not get to the end")
sys.exit(bool(failures or not ended or not readable))
