"""Writes excerpts and the picture into the documents.

Usage: write.py DIRECTORY-OF-THE-RUN DOCUMENTS
"""

import json
import re
import sys
from pathlib import Path
from xml.sax.saxutils import escape

PLACE = re.compile(r"(<!-- excerpt: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
# In pixels.
CHARACTER, LINE, MARGIN = 7.8, 19, 18
BACKGROUND, TEXT, DIM, RED = "#1b1f27", "#e4e7ec", "#97a1b1", "#ff7b72"
COMMAND = "$ codex responses-api-proxy "

run, documents = map(Path, sys.argv[1:])


def fixed(text):
    """With the usual directory in the place of that of the run."""
    return text.replace(str(run), "/run/codex-proxy")


def block(kind, command, text):
    return f"```{kind}\n{COMMAND}{command}\n{text}```\n"


def shorter(status):
    """The object with one of each list, and without what another place shows."""
    for name in ["protections", "warnings", "callers", "budgets"]:
        if status.get(name):
            status[name] = status[name][:1]
    return json.dumps(status, indent=2, ensure_ascii=False) + "\n"


def svg(rows):
    columns = max(sum(len(text) for _, text in row) for row in rows)
    width, height = columns * CHARACTER + 2 * MARGIN, len(rows) * LINE + 2 * MARGIN - 6
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
        f'viewBox="0 0 {width:.0f} {height}" role="img" font-size="13" '
        "font-family=\"ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace\">",
        "<title>The live view: totals, limits, callers, and requests in flight</title>",
        f'<rect width="{width:.0f}" height="{height}" rx="10" fill="{BACKGROUND}"/>',
    ]
    for number, row in enumerate(rows):
        column, y = 0, MARGIN + number * LINE + 11
        for style, text in row:
            x, length = MARGIN + column * CHARACTER, len(text) * CHARACTER
            column += len(text)
            styles = style.split()
            colour = RED if "red" in styles else DIM if "dim" in styles else TEXT
            if "reversed" in styles:
                parts.append(f'<rect x="{x:.1f}" y="{y - 13}" width="{length:.1f}" height="{LINE}" fill="{TEXT}"/>')
                colour = BACKGROUND
            if not text.strip():
                continue
            weight = ' font-weight="bold"' if "bold" in styles else ""
            # The length keeps columns in line, whatever font there is.
            parts.append(
                f'<text x="{x:.1f}" y="{y}" fill="{colour}"{weight} textLength="{length:.1f}" '
                f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(text)}</text>'
            )
    return "\n".join([*parts, "</svg>\n"])


found = {
    "status": block("console", "status", fixed((run / "status").read_text())),
    "json": block("console", "status --json", fixed(shorter(json.loads((run / "json").read_text())))),
    "stop": block("console", "stop", (run / "stop").read_text()),
}
document = documents / "control.md"
before = document.read_text()
places = {name for _, name, _ in PLACE.findall(before)}
if places != set(found):
    sys.exit(f"{document} has places for {sorted(places)}, and a run gives {sorted(found)}")
document.write_text(PLACE.sub(lambda place: f"{place[1]}{found[place[2]]}{place[3]}", before))
(documents / "top.svg").write_text(svg(json.loads((run / "screen").read_text())))
print(f"written: {document}, {documents / 'top.svg'}")
