"""An artefact held to a budget at run time: the same choice in its C, its files and its vectors."""

from collections.abc import Mapping
from dataclasses import replace
import re

import msgspec

from toolchain.artifact import Artifact
from toolchain.errors import BadInput, GateFailed
from toolchain.levels import MOST, NONE
from toolchain.stages import level_digest, level_output

UNLIMITED = re.compile(rb"(#define \w+_BUDGET) INT64_MAX")
"""Of model.h: what invoke is held to."""


def at_budget(artifact: Artifact, budget: int) -> Artifact:
    """The artefact that runs the best level within a budget, in the unit of its levels' costs.

    Its C finds the level by itself, at every call. Firmware is linked anew when it is run, and a board that
    runs another level is told by its digest: C has one for each level.
    Raises BadInput for an artefact without levels, or one that is held already, GateFailed where the budget
    pays for none.
    """
    manifest, chain = artifact.manifest, artifact.manifest.chain
    if chain is None:
        raise BadInput(f"{manifest.name} has no levels that a budget could choose; `edge levels`, `edge "
                       "cascade` and [exits] build such artefacts")
    if chain.levels is None:
        raise BadInput(f"{manifest.name} was built before chains had levels that a budget could choose; "
                       "build it again")
    if chain.level is not None:
        raise BadInput(f"{manifest.name} is held to level {chain.level} already; give the budget to the "
                       "artefact that it was made of")
    level = chain.levels.within(budget)
    if level == NONE:
        raise GateFailed(f"a budget of {budget:,} {chain.levels.unit} pays for no level of {manifest.name}; "
                         f"the cheapest takes {chain.levels.costs[0]:,}")
    last = len(chain.stages) - 1
    digest = manifest.graph_digest if level == last else level_digest(manifest.graph_digest, level)
    held = msgspec.structs.replace(manifest, graph_digest=digest, chain=msgspec.structs.replace(
        chain, level=level, budget=min(budget, MOST)))
    names = [port.name for port in manifest.outputs["graph"]]
    return replace(artifact, manifest=held, files=_held_files(artifact.files, budget),
                   vectors={**artifact.vectors, **{
                       f"output/{name}": artifact.vectors[level_output(level, name)] for name in names
                       if artifact.vectors and level < last}})


def _held_files(files: Mapping[str, bytes], budget: int) -> dict[str, bytes]:
    """Without firmware, which is held to no budget."""
    kept = {name: data for name, data in files.items() if name != "firmware.elf"}
    if "model.h" in kept:
        kept["model.h"] = UNLIMITED.sub(rb"\1 %d" % min(budget, MOST), kept["model.h"])
    return kept
