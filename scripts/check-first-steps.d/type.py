"""Types the commands of the README and of docs/, and sees what they answer."""

import sys

import docs
import readme
from document import Documents, fail


def main(root, record):
    documents = Documents(root)
    readme.typed(documents["README.md"])
    docs.typed(documents)
    docs.all_accounted_for(documents)
    with open(record, encoding="utf-8") as file:
        recorded = file.read()
    if recorded.count(f"Bearer {readme.KEY}") != recorded.count('"method"') or not recorded:
        fail("a request came without the key")
    print("\nEvery command did what the documents say.")


main(*sys.argv[1:])
