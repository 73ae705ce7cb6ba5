"""Whether docs/clients.md was made with the clients whose versions are pinned here: check_versions.py FILE.

Installs and runs nothing: the gate has it. That the rest of the table is true takes scripts/compat --check-page.
"""

import pathlib
import sys

from clients import CLIENTS


def main(page):
    text = page.read_text()
    # curl and our own have no version that is pinned.
    pinned = [f"{client.title} {client.version}" for client in CLIENTS.values() if client.version]
    missing = [client for client in pinned if f"\n| {client} |" not in text]
    for client in missing:
        print(f"{page} has no row of {client}, which is pinned: scripts/compat --page {page}", file=sys.stderr)
    return 1 if missing else 0


sys.exit(main(pathlib.Path(sys.argv[1])))
