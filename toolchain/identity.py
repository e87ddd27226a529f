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
    """The user's files that a recipe trains with and is judged by -> their digest."""
    specs = [recipe.features]
    trains = [step.train for step in recipe.earlier]
    for section in filter(None, (recipe.train, recipe.qat, *trains)):
        specs += [section.loss, section.loader]
    files = [path for spec in specs if spec and (path := Path(spec.rpartition(":")[0] or spec)).is_file()]
    return {"own code": _sha256(*(path.read_bytes() for path in files))} if files else {}


def _sha256(*parts: bytes) -> str:
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
