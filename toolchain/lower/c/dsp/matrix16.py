"""Convolutions and fully_connected on 16-bit codes for DSP cores: three patches times two channels."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import ascending, window_starts
from toolchain.lower.c.call import Array, Call, Value
from toolchain.lower.c.channels import filled
from toolchain.lower.c.dsp.matrix import TILE
from toolchain.lower.c.dsp.output16 import output16

BYTES = 2
"""Of a code."""


def fully_connected(call: Call) -> Call | None:
    """tk_fully_connected_s16 as tk_fully_connected_s16_dsp."""
    matrix, rows = _matrix(call.params["matrix"]), call.params["rows"]
    if matrix is None:
        return None
    starts = np.arange(rows) * matrix["depth"] * BYTES
    return _call("tk_fully_connected_s16_dsp", call, {"rows": rows}, matrix, starts)


def conv2d(call: Call) -> Call | None:
    """tk_conv2d_s16 as tk_conv2d_s16_dsp."""
    matrix, window = _matrix(call.params["matrix"]), call.params["window"]
    if matrix is None:
        return None
    starts = window_starts(window)
    scratch = min(len(starts), TILE) * matrix["depth"] * BYTES
    return _call("tk_conv2d_s16_dsp", call, {"window": window}, matrix, starts, scratch)


def _matrix(matrix: Mapping[str, Value]) -> dict[str, Value] | None:
    """tk_matrix_s16_dsp_params of tk_matrix_s16_params, where output16 can be."""
    weight = matrix["weight"].data
    output = output16(matrix["output"], weight)
    if output is None:
        return None
    even = filled(weight, 2, 2)
    pairs = even.reshape(len(even) // 2, 2, -1, 2).transpose(0, 2, 3, 1)
    words = pairs.reshape(len(even) // 2, -1).view("<i4").astype(np.int32)
    return {"channels": matrix["channels"], "depth": matrix["depth"], "weight": Array("weight", words),
            "output": output}


def _call(kernel: str, call: Call, sizes: Mapping[str, Value], matrix: Mapping[str, Value],
          starts: np.ndarray, scratch: int = 0) -> Call:
    """starts: where in the input, in bytes, each pixel's patch begins; it may be read in place."""
    done = _step_ends(len(starts))
    first = np.append(0, done[:-1])
    lowest = np.minimum.accumulate(starts[::-1])[::-1]
    tiles, singles = divmod(len(starts), TILE)
    outputs, products = matrix["channels"], matrix["channels"] * matrix["depth"]
    return Call(kernel, call.operands, {**sizes, "matrix": matrix}, scratch,
                overlaps=(ascending(lowest[first], done * outputs * BYTES),),
                work={"calls": 1, "tiles": tiles, "tile_outputs": tiles * outputs,
                      "tile_products": tiles * products, "singles": singles,
                      "single_outputs": singles * outputs, "single_products": singles * products})


def _step_ends(pixels: int) -> np.ndarray:
    """How many pixels are done after each step: tiles first, then single pixels."""
    tiles = pixels // TILE * TILE
    return np.append(np.arange(TILE, tiles + 1, TILE), np.arange(tiles + 1, pixels + 1))
