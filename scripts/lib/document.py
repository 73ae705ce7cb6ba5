"""The blocks of commands in a document."""

import re
import sys

SHELLS = ("bash", "sh", "shell", "console")


def fail(why):
    sys.exit(f"\nnot as the documents say: {why}")


class Documents(dict):
    """The documents of a directory by their names, each read once."""

    def __init__(self, root):
        super().__init__()
        self.root = root

    def __missing__(self, name):
        self[name] = Document(self.root, name)
        return self[name]


class Document:
    """One file, which knows which of its blocks were taken to be typed."""

    def __init__(self, root, name):
        self.name = name
        with open(f"{root}/{name}", encoding="utf-8") as file:
            self.blocks = re.findall(r"^```(\w*)\n(.*?)^```$", file.read(), re.S | re.M)
        self.taken = set()

    def block(self, *words):
        """The one block that has all the words."""
        found = [block for _, block in self.blocks if all(word in block for word in words)]
        if len(found) != 1:
            fail(f"{self.name} has {len(found)} blocks with {words}")
        self.taken.add(found[0])
        return found[0]

    def commands(self, *words):
        """The commands of a block that shows prompts: what is behind `$ ` or `# `, joined where a line ends in a backslash,
        without comments."""
        found = []
        goes_on = False
        for line in self.block(*words).splitlines():
            if goes_on:
                found[-1] = found[-1][:-1] + line.strip()
            elif line.startswith(("$ ", "# ")):
                found.append(line[2:])
            else:
                continue
            goes_on = found[-1].endswith("\\")
        return [re.sub(r"\s+# .*", "", command).strip() for command in found]

    def not_typed(self):
        """The blocks for a shell that nobody has taken."""
        return [block for language, block in self.blocks if language in SHELLS and block not in self.taken]
