"""Convolutions and fully_connected for MVE: which kernel, and its weights in that kernel's order."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import both_ways, row_overlaps
from toolchain.lower.c.call import Call, Value
from toolchain.lower.c.mve.streams import chunks, codes, matrix_stream
from toolchain.lower.c.mve.strips import (
    counts,
    fits,
    in_a_row,
    layout_work,
    scratch_bytes,
    strip_of,
    strips_overlap,
    window_params,
)

MOST_CHANNELS = 2**15
"""Outputs from here on do not fit their parameter."""


def fully_connected(call: Call) -> list[Call]:
    """tk_fully_connected_s8: a 1x1 convolution; one row also by a kernel of its own, which is the fastest."""
    rows, matrix = call.params["rows"], call.params["matrix"]
    if matrix["channels"] >= MOST_CHANNELS:
        return []
    pointwise = both_ways(_pointwise(call, rows), *row_overlaps(rows, 2, matrix["depth"], matrix["channels"]))
    return [_row(call), pointwise] if rows == 1 else [pointwise]


def _row(call: Call) -> Call:
    params = _matrix(call.params["matrix"], call.params["matrix"]["weight"].data, 8)
    return Call("tk_fully_connected_s8_mve", call.operands, params, struct="tk_rows_s8_mve_params",
                work=_row_work(params))


def _pointwise(call: Call, rows: int) -> Call:
    matrix = _matrix(call.params["matrix"], call.params["matrix"]["weight"].data, 4)
    return Call("tk_pointwise_s8_mve", call.operands,
                {"rows": rows, "backwards": 0, "matrix": matrix}, work=_work(matrix, rows, 1))


def _matrix(matrix: Mapping[str, Value], weight: np.ndarray, group: int) -> dict[str, Value]:
    """tk_rows_s8_mve_params. weight: [channels, depth] in the kernel's order of depth"""
    return {"channels": matrix["channels"], "depth": matrix["depth"],
            "stream": matrix_stream(weight, matrix["output"], group), **codes(matrix["output"])}


def conv2d(call: Call) -> Call | None:
    """tk_conv2d_s8."""
    window, matrix = in_a_row(call.params["window"]), call.params["matrix"]
    if not fits(window) or matrix["channels"] >= MOST_CHANNELS:
        return None
    taps = (window["kernel_height"], window["kernel_width"], window["channels"])
    weight = matrix["weight"].data
    weight = weight.reshape(-1, *taps).transpose(0, 2, 1, 3).reshape(weight.shape)
    strip = strip_of(window)
    params = {"window": window_params(window, strip), "matrix": _matrix(matrix, weight, 4)}
    return Call("tk_conv2d_s8_mve", call.operands, params, scratch_bytes(window, strip),
                overlaps=(strips_overlap(window, matrix["channels"], strip),), work=_window_work(params))


def _work(matrix: Mapping[str, Value], pixels: int, runs: int) -> dict[str, int]:
    """Units whose instructions are much the same for all shapes.

    products: 16 of each of 4 channels for 2 pixels;  tiles: those outputs;  pairs, runs: of pixels
    """
    pairs, groups = -(-pixels // 2), -(-matrix["channels"] // 4)
    odd = pairs * (matrix["channels"] % 4 != 0)
    return {"products": pairs * groups * chunks(matrix["depth"]), "tiles": pairs * groups,
            "exact": pairs * groups * matrix["exact"], "odd": odd, "pairs": pairs, "runs": runs, "calls": 1}


def _row_work(matrix: Mapping[str, Value]) -> dict[str, int]:
    groups = -(-matrix["channels"] // 8)
    return {"products": groups * chunks(matrix["depth"]), "groups": groups,
            "exact": groups * matrix["exact"], "odd": int(matrix["channels"] % 8 != 0), "calls": 1}


def _window_work(params: Mapping[str, Value]) -> dict[str, int]:
    """_work's and layout_work's."""
    window = params["window"]
    rows, strips = window["output_height"], counts(window)
    pairs = rows * sum(-(-count // 2) for count in strips)
    return {**_work(params["matrix"], 2 * pairs, rows * len(strips)), **layout_work(window)}
