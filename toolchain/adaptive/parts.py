"""Stages of a chain as artefacts of their own: what a runner that takes one file is given."""

from collections.abc import Iterator
from dataclasses import replace

import msgspec
import numpy as np

from toolchain.artifact import MODEL_FILE, Artifact
from toolchain.profile import Format
from toolchain.stages import StageRecord, level_output


def stage_artifacts(artifact: Artifact, fmt: Format) -> Iterator[Artifact]:
    """Each stage's file of a format, without test vectors, called after the chain and the file."""
    manifest = artifact.manifest
    for stage, name in zip(manifest.chain.stages, manifest.model_files(fmt), strict=True):
        own = msgspec.structs.replace(
            manifest, name=f"{manifest.name}/{name}", chain=None, formats=(fmt,),
            inputs={key: stage.inputs[key] for key in ("graph", fmt)},
            outputs={key: stage.outputs[key] for key in ("graph", fmt)})
        yield Artifact(own, {MODEL_FILE[fmt]: artifact.files[name]})


def measured_parts(artifact: Artifact, fmt: Format) -> list[Artifact]:
    """The files of those stages that may run, each with the chain's test vectors that tell what it does."""
    parts = [*stage_artifacts(artifact, fmt)]
    return [replace(parts[number], vectors=_vectors(artifact, number))
            for number in artifact.manifest.chain.may_run]


def _vectors(artifact: Artifact, number: int) -> dict[str, np.ndarray]:
    """Of samples that this stage answers, in its own codes. None of a stage that takes what another one has
    made, or hands on what it makes: of these a chain's vectors tell nothing."""
    chain, seen = artifact.manifest.chain, artifact.vectors
    stage, last = chain.stages[number], number == chain.may_run[-1]
    inputs = [f"input/{port.name}" for port in stage.inputs["graph"]]
    logits, path = (f"output/{port.name}" if last else level_output(number, port.name)
                    for port in artifact.manifest.outputs["graph"])
    if len(stage.outputs["graph"]) > 1 or not seen.keys() >= {*inputs, logits, path}:
        return {}
    rows = seen[path].reshape(len(seen[path])) == number
    if not rows.any():
        return {}
    return {**{name: seen[name][rows] for name in inputs},
            f"output/{stage.outputs['graph'][0].name}": _in_own_codes(seen[logits][rows], stage)}


def _in_own_codes(logits: np.ndarray, stage: StageRecord) -> np.ndarray:
    """What on_grid was given."""
    own = stage.outputs["graph"][0]
    codes = logits if own.zero_point is None else logits // stage.multiplier + own.zero_point
    return np.asarray(codes, own.dtype)
