"""What the documents say of root."""

import os
import re

from stage import Seen

NAME = "root reads the key by a probe, and the documents deny it"

# A sentence that says root cannot: the key's page is hidden, a register or an argument is not.
DENIAL = re.compile(r"root reads\s+nothing\s+(of it )?by\s+looking", re.I)
NEEDED = {"uprobes": r"\buprobe", "BPF": r"\bbpf\b|\bebpf\b", "perf": r"\bperf\b", "ptrace": r"\bptrace\b"}


def attack(stage):
    texts = {}
    for name in ("README.md", "docs/threat-model.md", "docs/architecture.md", "docs/operating.md"):
        with open(os.path.join(stage.root, name), encoding="utf-8") as text:
            texts[name] = text.read()
    model = texts["docs/threat-model.md"]
    missing = [what for what, pattern in NEEDED.items() if not re.search(pattern, model, re.I)]
    yield Seen("docs/threat-model.md names what root can use", f"not named: {', '.join(missing)}" if missing else "all four", missing)
    denying = [name for name, text in texts.items() if DENIAL.search(text)]
    yield Seen('"root reads nothing by looking"', f"found in {', '.join(denying)}" if denying else "found nowhere", denying)
