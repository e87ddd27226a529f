"""Depthwise convolution: a channel's weights in one piece, rows under the windows in lines of their own."""

import numpy as np

from toolchain.lower.c.call import Array, Call
from toolchain.lower.c.overlap import ascending
from toolchain.lower.c.scalar.output import short_output

TILE = 4
"""Pixels of a row at a time."""


def depthwise_conv2d(call: Call) -> Call | None:
    """tk_depthwise_conv2d_s8_scalar"""
    window, channels = call.params["window"], call.params["window"]["channels"]
    weight = np.ascontiguousarray(call.params["weight"].data.reshape(-1, channels).T)
    output = short_output(call.params["output"], weight)
    if output is None:
        return None
    lines, line = _lines(window), _line(window)
    return Call("tk_depthwise_conv2d_s8_scalar", call.operands, {
        "window": window, "lines": lines, "line": line, "weight": Array("weight", weight), "output": output},
        scratch_bytes=channels * lines * line, overlaps=(_overlap(window, lines),),
        work=_work(window, weight.shape[1]))


def _lines(window) -> int:
    """Rows under a window, with those that it leaves out."""
    return (window["kernel_height"] - 1) * window["dilation_height"] + 1


def _line(window) -> int:
    """Columns under the windows of a row, for whole tiles."""
    columns = -(-window["output_width"] // TILE) * TILE
    starts, taps = (columns - 1) * window["stride_width"], window["kernel_width"] - 1
    return max(starts + taps * window["dilation_width"] + 1, window["pad_left"])


def _overlap(window, lines: int):
    """A row is written once the rows under its windows lie in scratch."""
    row = np.arange(window["output_height"])
    taken = np.clip(row * window["stride_height"] - window["pad_top"] + lines, 0, window["input_height"])
    pitch, size = (window[f"{side}_width"] * window["channels"] for side in ("input", "output"))
    return ascending(taken * pitch, (row + 1) * size)


def _work(window, taps: int) -> dict[str, int]:
    rows, channels = window["output_height"], window["channels"]
    tiles = rows * -(-window["output_width"] // TILE) * channels
    square = (window["kernel_height"], window["kernel_width"], window["dilation_width"]) == (3, 3, 1)
    quick = square and window["stride_width"] <= 2
    return {"quick_tiles" if quick else "tiles": tiles, "taps": 0 if quick else taps * tiles,
            "outputs": rows * window["output_width"] * channels, "lines": rows * channels,
            "inputs": window["input_height"] * window["input_width"] * channels, "calls": 1}
