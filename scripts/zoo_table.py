"""Judge every network of the zoo and write docs/zoo.md: `make zoo`.

Prints what was refused. Exits with 3 where a promise is broken that tests/zoo/promises.py does not list.
"""

from pathlib import Path
import sys
import tempfile

from tests.zoo.catalogue import ENTRIES, ROOT
from tests.zoo.judge import judge
from tests.zoo.promises import EXCEPTIONS, broken
from tests.zoo.table import page


def main() -> None:
    results = []
    for entry in ENTRIES:
        print(f"zoo: {entry.title}", file=sys.stderr, flush=True)
        with tempfile.TemporaryDirectory() as folder:
            results.append(judge(entry, Path(folder)))
        for step, message in results[-1].refused.items():
            print(f"zoo: {entry.name}, {step}: {message}", file=sys.stderr)
    (ROOT / "docs" / "zoo.md").write_text(page(results), encoding="utf-8")
    differing = set.union(*map(broken, results)) ^ set(EXCEPTIONS)
    for name, column in sorted(differing):
        print(f"zoo: {name}, {column}: {'listed, but kept' if (name, column) in EXCEPTIONS else 'broken'}")
    sys.exit(3 if differing else 0)


if __name__ == "__main__":
    main()
