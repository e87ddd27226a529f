"""Convolutions and fully_connected for DSP cores: three patches times two channels at a time."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.lower.c.arena.overlap import both_ways, window_starts
from toolchain.lower.c.call import Call, Overlap, Value
from toolchain.lower.c.channels import output_codes
from toolchain.lower.c.dsp.block import packed_block
from toolchain.lower.c.portable.orders import overlapping

TILE = 3
"""Patches that are multiplied at once."""
UNIT_BYTES = 8
"""Of a patch's values as words, for each unit of a block."""
LARGEST = 2**16
"""Sizes from here on do not fit their parameters."""
ANYWHERE = 2**31
"""How far an output may lie on the far side where all is read before anything is written."""


def fully_connected(call: Call) -> list[Call]:
    """tk_fully_connected_s8 three rows at a time, and fewer than three by the kernel for single rows; or
    without_bounds."""
    matrix, rows = call.params["matrix"], call.params["rows"]
    channels, depth = matrix["channels"], matrix["depth"]
    found = _matrix(matrix["weight"].data.reshape(1, channels, 1, depth), matrix["output"])
    if found is None or depth >= LARGEST:
        return [without_bounds(call)]
    params = {"matrix": found, "rows": rows, "depth": depth, "backwards": 0}
    units = found["block"]["units"]
    tiles = Call("tk_fully_connected_s8_dsp", call.operands, params, _tile_bytes(units),
                 work=_work(rows, (channels + 1) // 2, units, depth))
    starts = np.arange(rows) * depth
    tiles = _with_overlaps(tiles, (starts, starts + depth), rows * depth, channels)
    return [tiles] if rows >= TILE else [_single_rows(tiles), tiles]


def _single_rows(tiles: Call) -> Call:
    """tk_fully_connected_s8_dsp as tk_fully_connected_row_s8_dsp, going forwards."""
    params, matrix = tiles.params, tiles.params["matrix"]
    rows, depth, units = params["rows"], params["depth"], matrix["block"]["units"]
    return Call("tk_fully_connected_row_s8_dsp", tiles.operands, params, UNIT_BYTES * units,
                struct="tk_fully_connected_s8_dsp_params",
                overlaps=tiles.overlaps,
                work={"calls": 1, "rows": rows, "values": rows * depth,
                      "core": rows * _row_core((matrix["channels"] + 1) // 2, units)})


def without_bounds(call: Call) -> Call:
    """tk_fully_connected_s8 or tk_conv2d_s8 by kernels that take any sums and shifts, at half the speed."""
    return replace(call, kernel=call.kernel.replace("_s8", "_any_s8_dsp"), struct=f"{call.kernel}_params",
                   overlaps=overlapping(call).overlaps)


def conv2d(call: Call) -> Call:
    """tk_conv2d_s8 as tk_conv2d_s8_dsp, or without_bounds."""
    matrix, window = call.params["matrix"], call.params["window"]
    weight = matrix["weight"].data.reshape(1, matrix["channels"], window["kernel_height"], -1)
    return _convolution(call, weight, matrix["output"]) or without_bounds(call)


def grouped_conv2d(call: Call) -> Call | None:
    """tk_grouped_conv2d_s8 as tk_conv2d_s8_dsp."""
    p = call.params
    weight = p["weight"].data.reshape(p["groups"], p["outputs"], p["window"]["kernel_height"], -1)
    return _convolution(call, weight, p["output"])


def _convolution(call: Call, weight: np.ndarray, output: Mapping[str, Value]) -> Call | None:
    """weight: (groups, channels, kernel_height, kernel_width * depth)"""
    window, (groups, channels, runs, run) = call.params["window"], weight.shape
    matrix = _matrix(weight, output)
    if matrix is None or max(*window.values(), run, groups * channels) >= LARGEST:
        return None
    inner = _inner(window, groups)
    sizes = {name: value for name, value in window.items() if name != "zero_point"}
    params = {"matrix": matrix, **sizes, "depth": run // window["kernel_width"], "pitch": groups * channels,
              **inner, "backwards": 0, "padding": (window["zero_point"],) * 4}
    units, pixels = matrix["block"]["units"], window["output_height"] * window["output_width"]
    work = _work(pixels, (channels + 1) // 2, units, runs * run) | _layout_work(window, **inner)
    made = Call("tk_conv2d_s8_dsp", call.operands, params, _tile_bytes(units) + TILE * run, work=work)
    if groups > 1:
        return _grouped(made, groups)
    size = window["input_height"] * window["input_width"] * window["channels"]
    return _with_overlaps(made, (window_starts(window), _window_ends(window)), size, channels)


def _grouped(first: Call, groups: int) -> Call:
    """tk_grouped_conv2d_s8_dsp of the first group's convolution."""
    matrix = first.params["matrix"]
    conv = {**first.params, "matrix": {**matrix, "low": -128, "high": 127}}
    return replace(first, kernel="tk_grouped_conv2d_s8_dsp",
                   params={"conv": conv, "groups": groups, "low": matrix["low"], "high": matrix["high"]},
                   work={unit: count * groups for unit, count in first.work.items()})


def _matrix(weight: np.ndarray, output: Mapping[str, Value]) -> dict[str, Value] | None:
    """tk_matrix_s8_dsp_params of weights (groups, channels, runs, values), the first group's; or None."""
    block = packed_block(weight, output)
    if block is None or max(block["units"], weight.shape[1]) >= LARGEST:
        return None
    return {"block": block, "channels": weight.shape[1], **output_codes(output)}


def _tile_bytes(units: int) -> int:
    """Of three patches."""
    return TILE * UNIT_BYTES * units


def _work(pixels: int, pairs: int, units: int, values: int) -> dict[str, int]:
    """Steps, values of a patch that they widen, and the instructions of their core, which is assembly:
    counted there."""
    steps = len(step_starts(pixels))
    return {"calls": 1, "steps": steps, "values": steps * values, "core": steps * _tile_core(pairs, units)}


def _tile_core(pairs: int, units: int) -> int:
    """Instructions of tk_tile_s8_dsp."""
    return 22 + pairs * (49 + 17 * units + 2 * max((units + 2) // 4, 1))


def _row_core(pairs: int, units: int) -> int:
    """Instructions of tk_row_s8_dsp."""
    twos, odd = divmod(units, 2)
    return 27 + pairs * (24 + 8 * odd + 14 * twos + 2 * max((twos + 3) // 4, 1))


def _inner(window: Mapping[str, int], groups: int) -> dict[str, int]:
    """Where the windows begin that lie in the image as they are."""
    reach = (window["kernel_height"] - 1) * window["dilation_height"] + 1
    if groups > 1 or window["dilation_width"] > 1:
        return {"inner_height": 0, "inner_width": 0}
    return {"inner_height": max(window["input_height"] - reach + 1, 0),
            "inner_width": max(window["input_width"] - window["kernel_width"] + 1, 0)}


def _layout_work(window: Mapping[str, int], inner_height: int, inner_width: int) -> dict[str, int]:
    """Kernel rows that steps lay out one by one, and taps of those that are gathered."""
    y, left = (np.arange(window[f"output_{axis}"]) * window[f"stride_{axis}"] - window[pad]
               for axis, pad in (("height", "pad_top"), ("width", "pad_left")))
    inner = np.outer((y >= 0) & (y < inner_height), (left >= 0) & (left < inner_width)).ravel()
    starts, taps = step_starts(inner.size), window["kernel_height"] * window["kernel_width"]
    whole = inner[starts]
    if inner.size >= TILE:
        whole = whole & inner[starts + 1] & inner[starts + 2]
    return {"kernel_rows": int((~whole).sum()) * window["kernel_height"],
            "gathered": int((~inner).sum()) * taps}


def _with_overlaps(call: Call, bounds: tuple[np.ndarray, np.ndarray], input_bytes: int,
                   channels: int) -> Call:
    """The call with what its output may lie over, going forwards and backwards.

    bounds: for each pixel, bytes of the input from which on, and up to which, its patch is read
    A step reads all its patches before it writes: what it writes must spare those of later steps.
    """
    starts, ends = bounds
    first = step_starts(len(starts))
    before, after = -ANYWHERE, -ANYWHERE
    if len(first) > 1:
        done = (first[:-1] + (TILE if len(starts) > TILE else 1)) * channels
        lowest = np.minimum.accumulate(starts[::-1])[::-1]
        before = int((done - lowest[first[1:]]).max())
        highest = np.maximum.accumulate(ends)[::-1]
        after = int((done - (input_bytes - highest[first[1:]])).max())
    return both_ways(call, Overlap(before=before), Overlap(after=after))


def step_starts(pixels: int) -> np.ndarray:
    """The first pixel of each step: of three, of which the last may have been done in part before; or of one.
    """
    if pixels < TILE:
        return np.arange(pixels)
    return np.minimum(np.arange(0, pixels, TILE), pixels - TILE)


def _window_ends(window: Mapping[str, int]) -> np.ndarray:
    """Up to where in the input each output pixel's window reaches, in bytes, no lower than what it reads."""
    bottom, right = (np.minimum(np.arange(window[f"output_{axis}"]) * window[f"stride_{axis}"] - window[pad] +
                                (window[f"kernel_{axis}"] - 1) * window[f"dilation_{axis}"],
                                window[f"input_{axis}"] - 1)
                     for axis, pad in (("height", "pad_top"), ("width", "pad_left")))
    return ((bottom[:, None] * window["input_width"] + right + 1) * window["channels"]).ravel()
