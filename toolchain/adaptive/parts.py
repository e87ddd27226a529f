"""Stages of a chain as artefacts of their own: what a runner that takes one file is given."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np

from toolchain.artifact import MODEL_FILE, Artifact
from toolchain.profile import Format


def stage_artifacts(artifact: Artifact, fmt: Format) -> Iterator[Artifact]:
    """Each stage's file of a format, without test vectors."""
    manifest = artifact.manifest
    for stage, name in zip(manifest.chain.stages, manifest.model_files(fmt), strict=True):
        own = msgspec.structs.replace(
            manifest, chain=None, formats=(fmt,), inputs={key: stage.inputs[key] for key in ("graph", fmt)},
            outputs={key: stage.outputs[key] for key in ("graph", fmt)})
        yield Artifact(own, {MODEL_FILE[fmt]: artifact.files[name]})


def measured_part(artifact: Artifact, fmt: Format) -> Artifact:
    """What is measured of an artefact: all of it; of files of networks side by side, the one that runs, whose
    test vectors are in its own codes."""
    chain = artifact.manifest.chain
    if chain is None or not chain.apart or fmt == "c":
        return artifact
    (number,), logits = chain.may_run, artifact.manifest.outputs["graph"][0]
    stage, part = chain.stages[number], [*stage_artifacts(artifact, fmt)][number]
    own, seen = stage.outputs["graph"][0], artifact.vectors.get(f"output/{logits.name}")
    if seen is None:
        return part
    inputs = {f"input/{port.name}": artifact.vectors[f"input/{port.name}"] for port in stage.inputs["graph"]}
    codes = seen if own.zero_point is None else seen // stage.multiplier + own.zero_point
    return replace(part, vectors={**inputs, f"output/{own.name}": np.asarray(codes, own.dtype)})
