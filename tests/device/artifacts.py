"""A small artefact in every format, for devices that run programs."""

import functools

import numpy as np

from tests.lower.c.nets import residual_net
from toolchain.artifact import Artifact
from toolchain.pipeline import build, prepare
from toolchain.profile import load_target
from toolchain.recipe import Recipe

FORMATS = ("tflite", "onnx", "c")


@functools.cache
def residual(target: str = "android_arm64") -> Artifact:
    """An int8 network of some layers as .tflite, .onnx and C, with test vectors of its own."""
    profile = load_target(target)
    return build(prepare(residual_net(), Recipe(), None, profile), profile, None)


def vectors(artifact: Artifact, kind: str) -> dict[str, np.ndarray]:
    """The artefact's test vectors: kind is "input" or "output"."""
    return {name.partition("/")[2]: value for name, value in artifact.vectors.items()
            if name.startswith(f"{kind}/")}
