"""Convolutions and fully_connected for MVE: which kernel, and its weights in that kernel's order."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.lower.c.call import Call, Overlap, Value
from toolchain.lower.c.mve.streams import chunks, codes, fits, matrix_stream, window_params
from toolchain.lower.c.overlap import ascending, descending, row_steps, window_starts

STRIP_BYTES = 1024
"""Of scratch that a strip of windows should take at most."""
LONGEST_STRIP = 16
"""Output pixels that are laid out at once; more gain nothing."""
MOST_CHANNELS = 2**15
"""Outputs from here on do not fit their parameter."""


def fully_connected(call: Call) -> list[Call]:
    """tk_fully_connected_s8: a 1x1 convolution; one row also by a kernel of its own, which is the fastest."""
    rows, matrix = call.params["rows"], call.params["matrix"]
    if matrix["channels"] >= MOST_CHANNELS:
        return []
    depth, channels = matrix["depth"], matrix["channels"]
    first, end = row_steps(rows, 2)
    forward, backwards = _pointwise(call, rows, 0), _pointwise(call, rows, 1)
    down = descending((rows - first) * depth, (rows - end) * channels, (rows * depth, rows * channels))
    pointwise = replace(forward, overlaps=(ascending(first * depth, end * channels),),
                        backwards=replace(backwards, overlaps=(down,)))
    return [_row(call), pointwise] if rows == 1 else [pointwise]


def _row(call: Call) -> Call:
    params = _matrix(call.params["matrix"], call.params["matrix"]["weight"].data, 8)
    return Call("tk_fully_connected_s8_mve", call.operands, params, struct="tk_rows_s8_mve_params",
                work=_row_work(params))


def _pointwise(call: Call, rows: int, backwards: int) -> Call:
    matrix = _matrix(call.params["matrix"], call.params["matrix"]["weight"].data, 4)
    return Call("tk_pointwise_s8_mve", call.operands,
                {"rows": rows, "backwards": backwards, "matrix": matrix}, work=_work(matrix, rows, 1))


def _matrix(matrix: Mapping[str, Value], weight: np.ndarray, group: int) -> dict[str, Value]:
    """tk_rows_s8_mve_params. weight: [channels, depth] in the kernel's order of depth"""
    return {"channels": matrix["channels"], "depth": matrix["depth"],
            "stream": matrix_stream(weight, matrix["output"], group), **codes(matrix["output"])}


def conv2d(call: Call) -> Call | None:
    """tk_conv2d_s8."""
    window, matrix = call.params["window"], call.params["matrix"]
    if not fits(window) or matrix["channels"] >= MOST_CHANNELS:
        return None
    taps = (window["kernel_height"], window["kernel_width"], window["channels"])
    weight = matrix["weight"].data
    weight = weight.reshape(-1, *taps).transpose(0, 2, 1, 3).reshape(weight.shape)
    strip = _strip(window)
    params = {"window": window_params(window, strip), "matrix": _matrix(matrix, weight, 4)}
    return Call("tk_conv2d_s8_mve", call.operands, params, _columns(window, strip) * _column(window),
                overlaps=(_overlap(window, matrix["channels"], strip),), work=_window_work(params))


def _columns(window: Mapping[str, int], count: int) -> int:
    """Of x that are laid out for `count` neighbouring output pixels: shared where they are not dilated."""
    if window["dilation_width"] > 1:
        return count * window["kernel_width"]
    return (count - 1) * window["stride_width"] + window["kernel_width"]


def _column(window: Mapping[str, int]) -> int:
    """Bytes of a column of a window."""
    return window["kernel_height"] * window["channels"]


def _strip(window: Mapping[str, int]) -> int:
    """Output pixels at once: an even number unless that is all, and as even as they come."""
    width = window["output_width"]
    most = max((count for count in range(2, LONGEST_STRIP + 1, 2)
                if _columns(window, count) * _column(window) <= STRIP_BYTES), default=2)
    strips = -(-width // most)
    return min(width, -(-width // strips) + 1 & ~1)


def _overlap(window: Mapping[str, int], channels: int, strip: int) -> Overlap:
    """A strip's windows are laid out before its outputs are written, unless they are rows of x itself."""
    shape = window["output_height"], window["output_width"]
    reads = window_starts(window).reshape(shape)[:, ::strip].ravel()
    writes = np.arange(1, shape[0] * shape[1] + 1).reshape(shape) * channels
    ends = np.concatenate([writes[:, strip - 1:-1:strip], writes[:, -1:]], axis=1).ravel()
    if window["kernel_height"] > 1:
        reads = np.append(reads[1:], max(reads[-1], ends[-1]))
    return ascending(reads, ends)


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
    """_work's, and: lines: of columns laid out for a strip;  pieces, vectors: moved for them."""
    window = params["window"]
    rows, width, strip = window["output_height"], window["output_width"], window["strip"]
    counts = [min(strip, width - first) for first in range(0, width, strip)]
    lines, pairs = rows * window["kernel_height"], rows * sum(-(-count // 2) for count in counts)
    pieces = lines * sum(_columns(window, count) for count in counts)
    return {**_work(params["matrix"], 2 * pairs, rows * len(counts)), "pieces": pieces,
            "lines": lines * len(counts), "vectors": pieces * chunks(window["channels"])}
