"""Weights and what makes codes of sums, packed in the one order that MVE kernels read."""

from collections.abc import Mapping, Sequence

import numpy as np

from toolchain.lower.c.call import Array, Value
from toolchain.lower.c.channels import filled, output_codes

CHUNK = 16
"""int8 values in a vector."""


def chunks(depth: int) -> int:
    """Vectors that hold `depth` values."""
    return -(-depth // CHUNK)


def matrix_stream(weight: np.ndarray, output: Mapping[str, Value], group: int) -> Array:
    """Per `group` channels: their chunks of values, zeros first; then bias, shift and multiplier.

    weight: [channels, depth] int8; output: tk_output_s8_params
    """
    backwards = filled(weight[:, ::-1], group, CHUNK)
    lanes = backwards[:, ::-1].reshape(-1, group, chunks(weight.shape[1]), CHUNK).transpose(0, 2, 1, 3)
    words = np.ascontiguousarray(lanes).reshape(len(lanes), -1).view("<i4")
    return stream(words, output, group)


def stream(words: np.ndarray, output: Mapping[str, Value], group: int, order: Sequence[int] = ()) -> Array:
    """words: [groups, ...] int32 of weights; after each group its bias, shift and multiplier.

    order: of a group's channels there
    """
    order = [*order] or [*range(group)]
    last = [_grouped(output[name].data, group)[:, order] for name in ("bias", "shift", "multiplier")]
    return Array("stream", np.concatenate([words, *last], axis=1).astype(np.int32).ravel())


def _grouped(values: np.ndarray, group: int) -> np.ndarray:
    """[groups, group] int32, filled up with zeros."""
    return filled(values, group).astype(np.int32).reshape(-1, group)


def codes(output: Mapping[str, Value]) -> dict[str, int]:
    """zero_point, low, high (as codes), and whether requantization must do all that it can be asked to."""
    easy = output["shift"].data.max() <= 0 and output["low"] >= 0
    return {"zero_point": output["zero_point"], **output_codes(output), "exact": int(not easy)}
