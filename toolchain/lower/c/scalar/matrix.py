"""Fully connected and convolution: four channels' weights side by side."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import ascending, both_ways, row_overlaps, row_steps, window_starts
from toolchain.lower.c.call import Array, Call, Value
from toolchain.lower.c.channels import filled
from toolchain.lower.c.short_output import short_output

AT_ONCE = 2
"""Rows or pixels."""
LARGEST = 2**16
"""Sizes from here on do not fit their parameters."""
FEW_CHANNELS = 16
"""For more, laying a window out costs less than reading it where it lies for every four."""


def fully_connected(call: Call) -> Call | None:
    """tk_fully_connected_s8_scalar"""
    rows, matrix = call.params["rows"], call.params["matrix"]
    packed = _matrix(matrix)
    if packed is None:
        return None
    params = {"rows": rows, "depth": matrix["depth"], "backwards": 0, "matrix": packed}
    made = Call("tk_fully_connected_s8_scalar", call.operands, params, work=_work(rows, matrix))
    return both_ways(made, *row_overlaps(rows, AT_ONCE, matrix["depth"], matrix["channels"]))


def conv2d(call: Call) -> Call | None:
    """tk_conv2d_s8_scalar"""
    window, matrix = call.params["window"], call.params["matrix"]
    packed = _matrix(matrix)
    if packed is None:
        return None
    pixels = window["output_height"] * window["output_width"]
    first, end = row_steps(pixels, AT_ONCE)
    over = ascending(window_starts(window)[first], end * matrix["channels"])
    params = {"window": window, "lay_out": int(matrix["channels"] > FEW_CHANNELS), "matrix": packed}
    return Call("tk_conv2d_s8_scalar", call.operands, params, scratch_bytes=AT_ONCE * matrix["depth"],
                overlaps=(over,), work=_work(pixels, matrix))


def _matrix(matrix: Mapping[str, Value]) -> dict[str, Value] | None:
    """tk_matrix_s8_scalar_params of tk_matrix_s8_params."""
    weight = matrix["weight"].data
    output = short_output(matrix["output"], weight)
    if output is None or max(weight.shape) >= LARGEST:
        return None
    packed = filled(weight, 4).reshape(-1, 4, weight.shape[1]).transpose(0, 2, 1)
    return {"channels": matrix["channels"], "weight": Array("weight", np.ascontiguousarray(packed)),
            "output": {**output, "bias": Array("bias", filled(output["bias"].data, 4))}}


def _work(rows: int, matrix: Mapping[str, Value]) -> dict[str, int]:
    alone, fours = rows % AT_ONCE, -(-matrix["channels"] // 4)
    return {"products": (rows - alone) * matrix["depth"] * fours * 4,
            "lone_row_products": alone * matrix["depth"] * fours * 4, "fours": -(-rows // AT_ONCE) * fours,
            "outputs": rows * matrix["channels"], "rows": rows, "calls": 1}
