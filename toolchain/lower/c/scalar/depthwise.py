"""Depthwise convolution: a channel's weights in one piece, rows under the windows in lines of their own."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import ascending
from toolchain.lower.c.call import Array, Call, Overlap
from toolchain.lower.c.short_output import short_output

TILE = 4
"""Pixels of a row at a time."""


def depthwise_conv2d(call: Call) -> Call | None:
    """tk_depthwise3x3_conv2d_s8_scalar, or for any window tk_depthwise_conv2d_s8_scalar"""
    window, channels = call.params["window"], call.params["window"]["channels"]
    weight = np.ascontiguousarray(call.params["weight"].data.reshape(-1, channels).T)
    output = short_output(call.params["output"], weight)
    if output is None:
        return None
    lines, line = _lines(window), _line(window)
    if max(lines, line, *window.values()) >= 2**16:
        return None
    kernel = f"tk_depthwise{'3x3' if _is_3x3(window) else ''}_conv2d_s8_scalar"
    return Call(kernel, call.operands, {
        "window": window, "lines": lines, "line": line, "weight": Array("weight", weight), "output": output},
        scratch_bytes=channels * lines * line, overlaps=(_overlap(window, lines),),
        struct="tk_depthwise_s8_scalar_params", work=_work(window, weight.shape[1]))


def _is_3x3(window: Mapping[str, int]) -> bool:
    size = window["kernel_height"], window["kernel_width"], window["dilation_width"]
    return size == (3, 3, 1) and window["stride_width"] <= 2


def _lines(window: Mapping[str, int]) -> int:
    """Rows under a window, with those that it leaves out."""
    return (window["kernel_height"] - 1) * window["dilation_height"] + 1


def _line(window: Mapping[str, int]) -> int:
    """Columns under the windows of a row, for whole tiles."""
    columns = -(-window["output_width"] // TILE) * TILE
    starts, taps = (columns - 1) * window["stride_width"], window["kernel_width"] - 1
    return max(starts + taps * window["dilation_width"] + 1, window["pad_left"])


def _overlap(window: Mapping[str, int], lines: int) -> Overlap:
    """A row is written once the rows under its windows lie in scratch."""
    row = np.arange(window["output_height"])
    taken = np.clip(row * window["stride_height"] - window["pad_top"] + lines, 0, window["input_height"])
    pitch, size = (window[f"{side}_width"] * window["channels"] for side in ("input", "output"))
    return ascending(taken * pitch, (row + 1) * size)


def _work(window: Mapping[str, int], taps: int) -> dict[str, int]:
    rows, channels = window["output_height"], window["channels"]
    tiles = rows * -(-window["output_width"] // TILE) * channels
    return {"tiles": tiles, "taps": taps * tiles, "outputs": rows * window["output_width"] * channels,
            "lines": rows * channels, "inputs": window["input_height"] * window["input_width"] * channels,
            "calls": 1}
