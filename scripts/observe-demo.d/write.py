"""Writes excerpts and the picture into the documents, or compares.

Usage: write.py DIRECTORY-OF-THE-RUN DOCUMENTS [--check]
"""

import difflib
import re
import sys
from pathlib import Path

import excerpts
import picture

PLACE = re.compile(r"(<!-- excerpt: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main():
    directory, documents, *check = sys.argv[1:]
    terminal, found = excerpts.all_of(directory)
    document = Path(documents, "observing.md")
    before = document.read_text()
    places = {name for _, name, _ in PLACE.findall(before)}
    for name in sorted(places ^ set(found)):
        if name in found:
            sys.exit(f"{document} has no place for it: <!-- excerpt: {name} --> and <!-- end -->")
        sys.exit(f"{document} has a place for the excerpt {name}, which this program does not give")
    after = PLACE.sub(lambda place: f"{place[1]}{found[place[2]]}\n{place[3]}", before)
    wanted = {document: after, Path(documents, "observing.svg"): picture.svg(terminal)}
    differ = False
    for path, text in wanted.items():
        old = path.read_text() if path.exists() else ""
        if old == text:
            continue
        differ = True
        if check:
            lines = difflib.unified_diff(
                old.splitlines(True), text.splitlines(True), str(path), f"{path}, from this run"
            )
            sys.stdout.writelines(lines)
        else:
            path.write_text(text)
            print(f"written: {path}")
    if differ and check:
        sys.exit("the documents are not what a run gives: scripts/observe-demo writes them")
    if not differ:
        print("the documents are what a run gives")


main()
