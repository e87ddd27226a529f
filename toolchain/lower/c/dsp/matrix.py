"""Convolutions and fully_connected for DSP cores: three patches times two channels at a time."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import both_ways, window_starts
from toolchain.lower.c.call import Call, Overlap, Value
from toolchain.lower.c.channels import output_codes
from toolchain.lower.c.dsp.block import packed_block

TILE = 3
"""Patches that are multiplied at once."""
ANYWHERE = 2**31
"""How far an output may lie on the far side where all is read before anything is written."""


def fully_connected(call: Call) -> Call | None:
    """tk_fully_connected_s8 as tk_fully_connected_s8_dsp."""
    matrix, rows = call.params["matrix"], call.params["rows"]
    channels, depth = matrix["channels"], matrix["depth"]
    block = packed_block(matrix["weight"].data.reshape(1, channels, 1, depth), matrix["output"])
    if block is None:
        return None
    params = {"rows": rows, "depth": depth, "backwards": 0, **output_codes(matrix["output"]),
              "matrix": {"channels": channels, "block": block}}
    made = Call("tk_fully_connected_s8_dsp", call.operands, params, _patch_bytes(rows, block["units"]),
                work=_work(rows, (channels + 1) // 2, block["units"], depth))
    starts = np.arange(rows) * depth
    return _with_overlaps(made, (starts, starts + depth), rows * depth, channels)


def conv2d(call: Call) -> Call | None:
    """tk_conv2d_s8 as tk_conv2d_s8_dsp."""
    matrix, window = call.params["matrix"], call.params["window"]
    weight = matrix["weight"].data.reshape(1, matrix["channels"], window["kernel_height"], -1)
    return _convolution(call, weight, matrix["output"])


def grouped_conv2d(call: Call) -> Call | None:
    """tk_grouped_conv2d_s8 as tk_conv2d_s8_dsp."""
    p = call.params
    weight = p["weight"].data.reshape(p["groups"], p["outputs"], p["window"]["kernel_height"], -1)
    return _convolution(call, weight, p["output"])


def _convolution(call: Call, weight: np.ndarray, output: Mapping[str, Value]) -> Call | None:
    """weight: (groups, channels, kernel_height, kernel_width * depth)"""
    window, (groups, channels, runs, run) = call.params["window"], weight.shape
    block = packed_block(weight, output)
    if block is None:
        return None
    pixels = window["output_height"] * window["output_width"]
    together = 1 if groups > 1 or window["dilation_width"] > 1 else window["kernel_width"]
    params = {"window": window, "groups": groups, "depth": run // window["kernel_width"],
              "together": together, "backwards": 0, **output_codes(output),
              "matrix": {"channels": channels, "block": block}}
    scratch = _patch_bytes(pixels, block["units"]) + (TILE if pixels >= TILE else 1) * run
    work = _work(pixels, (channels + 1) // 2, block["units"], runs * run) | _layout_work(window, together)
    made = Call("tk_conv2d_s8_dsp", call.operands, params, scratch,
                work={unit: count * groups for unit, count in work.items()})
    if groups > 1:
        return made
    size = window["input_height"] * window["input_width"] * window["channels"]
    return _with_overlaps(made, (window_starts(window), _window_ends(window)), size, channels)


def _patch_bytes(pixels: int, units: int) -> int:
    """Of a tile's patches, or of one patch where there are too few pixels for a tile."""
    return (TILE if pixels >= TILE else 1) * 8 * units


def _work(pixels: int, pairs: int, units: int, values: int) -> dict[str, int]:
    """Steps of one or three patches, values that they widen, and the instructions of the cores, which are
    assembly: counted there."""
    tiles, singles = divmod(pixels, TILE)
    return {"calls": 1, "steps": tiles + singles, "tile_values": tiles * TILE * values,
            "single_values": singles * values,
            "core": tiles * _tile_core(pairs, units) + singles * _row_core(pairs, units)}


def _tile_core(pairs: int, units: int) -> int:
    """Instructions of tk_tile_s8_dsp."""
    return 22 + pairs * (49 + 17 * units + 2 * max((units + 2) // 4, 1))


def _row_core(pairs: int, units: int) -> int:
    """Instructions of tk_row_s8_dsp."""
    twos, odd = divmod(units, 2)
    return 27 + pairs * (24 + 8 * odd + 14 * twos + 2 * max((twos + 3) // 4, 1))


def _layout_work(window: Mapping[str, int], together: int) -> dict[str, int]:
    """Kernel rows of tiles that are laid out from where they lie, and of patches laid out one by one."""
    pixels = window["output_height"] * window["output_width"]
    row, column = np.divmod(np.arange(0, pixels - TILE + 1, TILE), window["output_width"])
    top = row * window["stride_height"] - window["pad_top"]
    left = column * window["stride_width"] - window["pad_left"]
    bottom = top + (window["kernel_height"] - 1) * window["dilation_height"]
    right = left + (TILE - 1) * window["stride_width"] + window["kernel_width"]
    inside = ((np.minimum(top, left) >= 0) & (bottom < window["input_height"])
              & (right <= window["input_width"]) & (column + TILE <= window["output_width"])
              & (together == window["kernel_width"]))
    tiles, rows = int(inside.sum()), window["kernel_height"]
    return {"inside_rows": tiles * rows, "gathered_rows": (pixels - tiles * TILE) * rows}


def _with_overlaps(call: Call, bounds: tuple[np.ndarray, np.ndarray], input_bytes: int,
                   channels: int) -> Call:
    """The call with what its output may lie over, going forwards and backwards.

    bounds: for each pixel, bytes of the input from which on, and up to which, its patch is read
    A step reads all its patches before it writes: what it writes must spare those of later steps.
    """
    starts, ends = bounds
    done = step_ends(len(starts))[:-1]
    before, after = -ANYWHERE, -ANYWHERE
    if len(done):
        left = len(starts) - done
        lowest = np.minimum.accumulate(starts[::-1])[::-1]
        before = int((done * channels - lowest[done]).max())
        highest = np.maximum.accumulate(ends)
        after = int((done * channels - (input_bytes - highest[left - 1])).max())
    return both_ways(call, Overlap(before=before), Overlap(after=after))


def step_ends(pixels: int) -> np.ndarray:
    """How many pixels are done after each step: tiles first, then single pixels."""
    tiles = pixels // TILE * TILE
    return np.append(np.arange(TILE, tiles + 1, TILE), np.arange(tiles + 1, pixels + 1))


def _window_ends(window: Mapping[str, int]) -> np.ndarray:
    """Up to where in the input each output pixel's window reaches, in bytes, no lower than what it reads."""
    bottom, right = (np.minimum(np.arange(window[f"output_{axis}"]) * window[f"stride_{axis}"] - window[pad] +
                                (window[f"kernel_{axis}"] - 1) * window[f"dilation_{axis}"],
                                window[f"input_{axis}"] - 1)
                     for axis, pad in (("height", "pad_top"), ("width", "pad_left")))
    return ((bottom[:, None] * window["input_width"] + right + 1) * window["channels"]).ravel()
