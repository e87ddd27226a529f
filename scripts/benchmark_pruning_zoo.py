"""Every network of the zoo pruned at random, by us and by Torch-Pruning: `make benchmark-pruning-zoo`.

Writes docs/pruning-zoo.md. Exits with 3 where a network of ours is not the masked one.
"""

from dataclasses import replace
import json
from pathlib import Path
import sys

from benchmark_peers import ROOT, child, say
from pruning_zoo_report import CURES, TOLERANCE, Cure, Row, failed, page
import typer

from tests.zoo.catalogue import ENTRIES, Entry
from tests.zoo.pruning import RATIO, pruned
from toolchain.ir.graph import Graph, Op
from toolchain.ir.ops import OPS
from toolchain.load import load

PAGE = ROOT / "docs" / "pruning-zoo.md"
THEIRS = ROOT / ".venv-torch-pruning" / "bin" / "python"
SEED = 0


def main(theirs: Path = THEIRS) -> None:
    rows = [row_of(entry, theirs) for entry in ENTRIES]
    PAGE.write_text(page(rows), encoding="utf-8")
    say(f"wrote {PAGE.relative_to(ROOT)}")
    wrong = [row.name for row in rows if not row.ours.off_by <= TOLERANCE]
    for name in wrong:
        print(f"{name}: not the masked network")
    sys.exit(3 if wrong else 0)


def row_of(entry: Entry, python: Path) -> Row:
    say(entry.title)
    ours, last = pruned(entry), last_layers(load(entry.open()))
    kept = {layer: why for layer, why in ours.fixed.items() if layer not in {op.name for op in last}}
    if not entry.is_torch:
        return Row(entry.name, ours, kept, None, None)
    ignored = [op.inputs[1].removesuffix(".weight") for op in last]
    row = Row(entry.name, ours, kept, their_outcome(python, entry, ignored, Cure("")), None)
    if entry.name not in CURES or not failed(row):
        return row
    return replace(row, cured=their_outcome(python, entry, ignored, CURES[entry.name]))


def their_outcome(python: Path, entry: Entry, ignored: list[str], cure: Cure) -> dict:
    """What zoo_torch_pruning.py prints."""
    flags = ["--folded"] if cure.folded else []
    return json.loads(child(python, "zoo_torch_pruning.py", *flags, entry.open(), RATIO, SEED, *ignored,
                            *cure.layers))


def last_layers(graph: Graph) -> list[Op]:
    """Ops with weights that no other with weights follows: of the classifier, of a detector's heads."""
    met, found, stack = set(), [], list(graph.outputs)
    while stack:
        name = stack.pop()
        if name in met or name not in graph.producers:
            continue
        met.add(name)
        op = graph.producers[name]
        if "weight" in OPS[op.kind].inputs:
            found.append(op)
        else:
            stack += op.inputs
    return found


if __name__ == "__main__":
    typer.run(main)
