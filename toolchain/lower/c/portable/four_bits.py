"""4-bit weights: portable calls whose weights lie two to a byte, in flash and in use."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from toolchain.lower.c.arena.overlap import row_overlaps
from toolchain.lower.c.call import Array, Call, Value
from toolchain.lower.c.channels import filled

ROWS = 2
"""At a time."""


def in_four_bits(call: Call) -> Call:
    """The call with its weights, all in [-8, 7], two to a byte; as it is, where no kernel reads such."""
    packed = PACKED.get(call.kernel)
    return packed(call) if packed else call


def _fully_connected(call: Call) -> Call:
    """tk_fully_connected_s4"""
    matrix = call.params["matrix"]
    over, _ = row_overlaps(call.params["rows"], ROWS, matrix["depth"], matrix["channels"])
    return replace(call, kernel="tk_fully_connected_s4", params={**call.params, "matrix": _matrix(matrix)},
                   overlaps=(over,))


def _conv2d(call: Call) -> Call:
    """tk_conv2d_s4"""
    matrix = _matrix(call.params["matrix"])
    return replace(call, kernel="tk_conv2d_s4", params={**call.params, "matrix": matrix},
                   scratch_bytes=ROWS * matrix["depth"])


def _depthwise(call: Call) -> Call:
    """tk_depthwise_conv2d_s4"""
    weight = call.params["weight"].data
    taps = weight.reshape(-1, weight.shape[-1])
    whole = filled(taps, 1, 2)
    packed = Array("weight", whole[:, 1::2] << 4 | whole[:, ::2] & 15)
    return replace(call, kernel="tk_depthwise_conv2d_s4", params={**call.params, "weight": packed})


def _matrix(matrix: Mapping[str, Value]) -> dict[str, Value]:
    """tk_matrix_s4_params of tk_matrix_s8_params."""
    weight = matrix["weight"].data
    rows = filled(weight, 4)
    pairs = rows[1::2] * 16 + rows[::2] + 8
    packed = pairs.reshape(-1, 2, weight.shape[1]).transpose(0, 2, 1)
    return {**matrix, "weight": Array("weight", np.ascontiguousarray(packed))}


PACKED: Mapping[str, Callable[[Call], Call]] = {
    "tk_conv2d_s8": _conv2d,
    "tk_depthwise_conv2d_s8": _depthwise,
    "tk_fully_connected_s8": _fully_connected,
}
"""Kernel on bytes -> the same on nibbles."""
