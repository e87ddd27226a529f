"""Fully connected and convolution on Armv6-M: two rows in one register, where weights allow it."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import ascending, both_ways, row_overlaps, row_steps, window_starts
from toolchain.lower.c.call import Array, Call, Value
from toolchain.lower.c.channels import filled
from toolchain.lower.c.short_output import short_output

AT_ONCE = 2
"""Rows or pixels."""
LARGEST_PAIR = 255
"""Of two neighbouring weights' absolute values: their products with one row stay within 16 bits."""


def fully_connected(call: Call) -> Call | None:
    """tk_fully_connected_s8_thumb: quicker where there is more than one row."""
    rows, matrix = call.params["rows"], call.params["matrix"]
    packed = _matrix(matrix)
    if packed is None:
        return None
    depth, channels = matrix["depth"], matrix["channels"]
    params = {"rows": rows, "backwards": 0, "matrix": packed}
    made = Call("tk_fully_connected_s8_thumb", call.operands, params, scratch_bytes=_pair_bytes(packed),
                work=_work(rows, packed, channels))
    return both_ways(made, *row_overlaps(rows, AT_ONCE, depth, channels, reads_first=True))


def conv2d(call: Call) -> Call | None:
    """tk_conv2d_s8_thumb"""
    window, matrix = call.params["window"], call.params["matrix"]
    packed = _matrix(matrix)
    if packed is None:
        return None
    height, width, channels = window["output_height"], window["output_width"], matrix["channels"]
    first, end = row_steps(width, AT_ONCE)
    row, pixels = np.arange(height)[:, None] * width, height * width
    over = ascending(window_starts(window)[(row + first).ravel()], (row + end).ravel() * channels,
                     reads_first=True)
    return Call("tk_conv2d_s8_thumb", call.operands, {"window": window, "matrix": packed}, overlaps=(over,),
                scratch_bytes=_pair_bytes(packed) + AT_ONCE * matrix["depth"],
                work=_work(pixels, packed, channels) | {"patch_rows": pixels * window["kernel_height"]})


def _pair_bytes(matrix: Mapping[str, Value]) -> int:
    return 8 * matrix["steps"]


def _matrix(matrix: Mapping[str, Value]) -> dict[str, Value] | None:
    """tk_matrix_s8_thumb_params of tk_matrix_s8_params."""
    weight, depth = matrix["weight"].data, matrix["depth"]
    output = short_output(matrix["output"], weight)
    whole = filled(weight, 2, 4)
    pairs = whole.reshape(-1, 2, whole.shape[1] // 2, 2)
    if output is None or np.abs(pairs.astype(np.int32)).sum(-1).max() > LARGEST_PAIR:
        return None
    words = pairs.transpose(0, 2, 1, 3).reshape(len(pairs), -1).view("<i4").astype(np.int32)
    return {"channels": matrix["channels"], "depth": depth, "steps": whole.shape[1] // 2,
            "weight": Array("weight", words), "output": output}


def _work(rows: int, matrix: Mapping[str, Value], channels: int) -> dict[str, int]:
    pairs, twos = -(-rows // AT_ONCE), -(-channels // 2)
    return {"steps": pairs * twos * matrix["steps"], "twos": pairs * twos, "outputs": rows * channels,
            "inputs": rows * matrix["depth"], "rows": rows, "calls": 1}
