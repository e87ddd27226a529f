"""docs/pruning-zoo.md: every network of the zoo pruned by us and by Torch-Pruning, written and read back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from peers_report import processor, table

from tests.zoo.catalogue import ENTRIES, ZOO
from tests.zoo.pruning import RATIO, Pruned

TOLERANCE = 1e-4
"""As a share of an output's range: more than this is another network."""
HEAD = ("network", "groups", "channels gone", "MACs left", "parameters left", "off by", "Torch-Pruning",
        "its parameters left")
FILE_ONLY = "takes PyTorch modules only; this is an ONNX file"


@dataclass(frozen=True)
class Cure:
    """What a user of Torch-Pruning can do about a failure.

    words:  what it is
    layers: more "ignored_layers"
    folded: whether parametrizations become plain weights first
    """

    words: str
    layers: tuple[str, ...] = ()
    folded: bool = False


CURES: Mapping[str, Cure] = {
    "yolo": Cure("with the convolutions before a chunk in `ignored_layers`",
                 ("fine.2.enter", "fine.4.enter", "coarse.1.enter", "merge.enter")),
    "conv_vae": Cure("with the layer before Unflatten in `ignored_layers`", ("start",)),
    "tcn": Cure("no argument, but after torch's `remove_parametrizations`", folded=True),
}
"""Network -> what was tried. For ShuffleNetV2 nothing is left to try: the graph is not even built, whatever
the arguments."""


@dataclass(frozen=True)
class Row:
    """kept:          layers that we keep whole and that make no output of the network -> why
    theirs, cured: what zoo_torch_pruning.py printed; None where it was not asked
    """

    name: str
    ours: Pruned
    kept: Mapping[str, str]
    theirs: Mapping | None
    cured: Mapping | None


PAGE = """# Pruning the zoo

`make benchmark-pruning-zoo` writes this page. Every network of `tests/zoo/` loses {ratio:.0f} % of its
channels, drawn at random, by this toolchain and by Torch-Pruning in an environment of its own. What is asked
is not which channels are best, but whether any can go: whether the smaller network runs, and is the one that
was meant. `tests/prune/test_zoo.py` holds our side to it.

{conditions}

{table}

- **groups**: of channels that can go one by one; **channels gone**, of all that are in groups; **MACs** and
  **parameters left**. We round {ratio:.0f} % of a group to the nearest channel, Torch-Pruning rounds what
  stays down, so these columns are no race.
- **off by**: the largest difference from the whole network with the removed channels at zero where their
  readers read them, as a share of an output's range. More than {tolerance:.0e} is another network than was
  meant.
- **Torch-Pruning**: `BasePruner` with random importance and example inputs, as its documentation has it;
  every layer that makes an output is in `ignored_layers`. "runs": it prunes, the smaller network answers in
  the same shapes, and is the masked one by the same measure. Else the first line of the error, and what a
  user can do; parameters left are then those of that run.
- A layer norm over the channels normalizes those that are left without those that went, so that no cut equals
  the masked network. We keep such channels; Torch-Pruning removes them by intent and leaves the rest to
  fine-tuning: that is all of ConvNeXt's and the keyword transformer's difference.

## Where Torch-Pruning fails, or gives another network

{failures}

## What we keep whole

Layers that make an output stay in any tool. Those that stay for another reason:

{kept}
"""


def page(rows: Sequence[Row]) -> str:
    """The whole of docs/pruning-zoo.md."""
    return PAGE.format(ratio=100 * RATIO, tolerance=TOLERANCE, conditions=_conditions(rows),
                       failures=_failures(rows), kept=_kept(rows),
                       table=table(list(HEAD), [_cells(row) for row in rows]))


def _conditions(rows: Sequence[Row]) -> str:
    versions = next(row.theirs["versions"] for row in rows if row.theirs)
    told = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"{datetime.now(UTC):%Y-%m-%d}, {processor()}, {told}."


def _cells(row: Row) -> list[str]:
    ours = row.ours
    there, gone = ours.channels
    return [ZOO[row.name].title, str(ours.groups), f"{gone:,} of {there:,}", _left(ours.macs),
            _left(ours.parameters), f"{ours.off_by:.0e}", verdict(row), _their_parameters(row)]


def _left(before_and_after: Sequence[float]) -> str:
    before, after = before_and_after
    return f"{after / before:.1%}"


def verdict(row: Row) -> str:
    """What Torch-Pruning made of it, and what its cure."""
    if row.theirs is None:
        return FILE_ONLY
    if row.cured is None:
        return outcome(row.theirs)
    return f"{outcome(row.theirs)}; {CURES[row.name].words}: {outcome(row.cured)}"


def outcome(told: Mapping) -> str:
    """Of one run, in words."""
    before, after = told.get("shapes", (None, None))
    if before != after:
        return f"**wrong shapes**: {after}, not {before}"
    if told["stage"] != "done":
        return f"**fails**: `{told['error']}`"
    if told["parameters"][0] == told["parameters"][1]:
        return "**nothing pruned**"
    if not told["off_by"] <= TOLERANCE:
        return f"runs, **off by {told['off_by']:.0e}**"
    return "runs"


def failed(row: Row) -> bool:
    """Whether Torch-Pruning, used as documented, gives another network than was meant, or none."""
    return row.theirs is not None and outcome(row.theirs) != "runs"


def _their_parameters(row: Row) -> str:
    told = row.cured or row.theirs
    return _left(told["parameters"]) if told and "parameters" in told else "-"


def _failures(rows: Sequence[Row]) -> str:
    return "\n".join(f"- {ZOO[row.name].title}: {verdict(row)}." for row in rows if failed(row)) or "None."


def _kept(rows: Sequence[Row]) -> str:
    """One line for each network that has such layers: how many, and the first reason."""
    lines = []
    for row in (row for row in rows if row.kept):
        layer, why = next(iter(row.kept.items()))
        lines.append(f"- {ZOO[row.name].title}: {len(row.kept)} layers, such as `{layer}`: {why}.")
    return "\n".join(lines) or "None."


def rows_of(text: str) -> dict[str, Mapping[str, str]]:
    """Title -> column -> cell, of a page."""
    titles = {entry.title for entry in ENTRIES}
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {line[0]: dict(zip(HEAD, line, strict=True)) for line in lines if line[0] in titles}
