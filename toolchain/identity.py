"""What decides what is made of a model, as digests: a run is gone on with by them, nothing made twice."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np

from toolchain.cost_table import CostTable
from toolchain.data import Samples
from toolchain.ir.graph import Graph
from toolchain.profile import TargetProfile
from toolchain.recipe import Recipe


def identity(graph: Graph, samples: Samples | None, profile: TargetProfile | None,
             table: CostTable | None) -> dict[str, str]:
    """What a recipe is applied to -> its digest."""
    found = {"graph": graph.digest, "profile": _sha256(msgspec.json.encode(profile)),
             "table": _sha256(msgspec.json.encode(table))}
    if samples is not None:
        from toolchain.train.checkpoint import samples_digest

        found["samples"] = samples_digest(samples.fit_to(graph))
        found["splits"] = _sha256(repr(np.asarray(samples.splits).tolist()).encode())
    return found


def own_code(recipe: Recipe) -> dict[str, str]:
    """The user's files that a recipe's training runs -> their digest."""
    if recipe.train is None:
        return {}
    files = [Path(spec.rpartition(":")[0] or spec)
             for spec in (recipe.train.loss, recipe.train.loader, recipe.features) if spec]
    return {"own code": _sha256(*(path.read_bytes() for path in files if path.is_file()))}


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
