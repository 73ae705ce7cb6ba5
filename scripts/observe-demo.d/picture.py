"""A picture of a terminal, as SVG: while requests run, and at the end."""

from xml.sax.saxutils import escape

import fixed

COLUMNS = 136
# In pixels.
CHARACTER, LINE, MARGIN = 7.8, 19, 18
BACKGROUND, TEXT, DIM, CAPTION = "#1b1f27", "#e4e7ec", "#97a1b1", "#6b7482"


def wrapped(lines):
    """As a terminal wraps them."""
    for colour, line in lines:
        while len(line) > COLUMNS:
            yield colour, line[:COLUMNS]
            line = line[COLUMNS:]
        yield colour, line


def panel(caption, lines, top):
    lines = list(wrapped(lines))
    width = COLUMNS * CHARACTER + 2 * MARGIN
    height = len(lines) * LINE + 2 * MARGIN - 6
    parts = [
        f'<text x="2" y="{top + 13}" fill="{CAPTION}">{escape(caption)}</text>',
        f'<rect y="{top + 22}" width="{width:.0f}" height="{height}" rx="10" fill="{BACKGROUND}"/>',
    ]
    for number, (colour, line) in enumerate(lines):
        if line:
            y = top + 22 + MARGIN + number * LINE + 11
            # The length keeps columns in line, whatever font there is.
            parts.append(
                f'<text x="{MARGIN}" y="{y}" fill="{colour}" textLength="{len(line) * CHARACTER:.1f}" '
                f'lengthAdjust="spacingAndGlyphs" xml:space="preserve">{escape(line)}</text>'
            )
    return parts, top + 22 + height


def svg(terminal):
    # While the fifth was answered.
    before = 4
    status = [line for number, line in terminal.status if number == before and "so far" in line][-1]
    ready = fixed.other(terminal.ready, "/")
    running = [(DIM, "$ codex responses-api-proxy --port 8787"), (TEXT, ready), (DIM, "[...]")]
    running += [(TEXT, line) for line in terminal.requests[:before]]
    running.append((DIM, status))
    ended = [(TEXT, line) for line in terminal.requests[before:]]
    ended += [(DIM, "^C")] + [(TEXT, line) for line in terminal.summary]
    upper, below = panel("while a request is answered", running, 0)
    lower, height = panel("at the end", ended, below + 16)
    width = COLUMNS * CHARACTER + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height}" '
            f'viewBox="0 0 {width:.0f} {height}" role="img" font-size="13" '
            'font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace">',
            "<title>Lines of requests on a terminal, the line at the bottom, and the summary at the end</title>",
            *upper,
            *lower,
            "</svg>\n",
        ]
    )
