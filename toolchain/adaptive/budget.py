"""An artefact held to a budget at run time: the same choice in its C, its files and its vectors."""

from collections.abc import Mapping
from dataclasses import replace
import hashlib
import re

import msgspec

from toolchain.artifact import Artifact
from toolchain.errors import BadInput, GateFailed
from toolchain.levels import NONE
from toolchain.stages import level_output

UNLIMITED = re.compile(rb"(#define \w+_BUDGET) UINT64_MAX")
"""Of model.h: what invoke is held to."""


def at_budget(artifact: Artifact, budget: int) -> Artifact:
    """The artefact that runs the best level within a budget, in the unit of its levels' costs.

    Its C finds the level by itself, at every call. Firmware is linked anew when it is run, and a board that
    runs any other is told by its digest.
    Raises BadInput for an artefact without levels, GateFailed where the budget pays for none.
    """
    manifest, chain = artifact.manifest, artifact.manifest.chain
    if chain is None or chain.levels is None:
        raise BadInput(f"{manifest.name} has no levels that a budget could choose; `edge levels`, `edge "
                       "cascade` and [exits] build such artefacts")
    level = chain.levels.within(budget)
    if level == NONE:
        raise GateFailed(f"a budget of {budget:,} {chain.levels.unit} pays for no level of {manifest.name}; "
                         f"the cheapest takes {chain.levels.costs[0]:,}")
    digest = hashlib.sha256(f"{manifest.graph_digest}\n{budget}".encode()).hexdigest()
    held = msgspec.structs.replace(manifest, chain=msgspec.structs.replace(chain, level=level),
                                   graph_digest=digest)
    names = [port.name for port in manifest.outputs["graph"]]
    files = _held_files(artifact.files, budget, manifest.graph_digest, digest)
    return replace(artifact, manifest=held, files=files,
                   vectors={**artifact.vectors, **{
                       f"output/{name}": artifact.vectors[level_output(level, name)] for name in names
                       if artifact.vectors and level < len(chain.stages) - 1}})


def _held_files(files: Mapping[str, bytes], budget: int, before: str, digest: str) -> dict[str, bytes]:
    """Without firmware, which is held to no budget. before: the digest that `digest` takes the place of"""
    kept = {name: data for name, data in files.items() if name != "firmware.elf"}
    if "model.h" in kept:
        limited = UNLIMITED.sub(rb"\1 %du" % min(budget, 2**64 - 1), kept["model.h"])
        kept["model.h"] = limited.replace(before.encode(), digest.encode())
    return kept
