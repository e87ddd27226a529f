"""Convolutions and fully_connected for DSP cores: three patches times two channels at a time."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.lower.c.call import Call, Overlap, Value
from toolchain.lower.c.dsp.block import packed_block
from toolchain.lower.c.overlap import window_starts

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
    params = {"rows": rows, "depth": depth, "backwards": 0, **_codes(matrix["output"]),
              "matrix": {"channels": channels, "block": block}}
    made = Call("tk_fully_connected_s8_dsp", call.operands, params, _patch_bytes(rows, block["units"]),
                work=_work(rows, 1, channels, depth, block["units"]))
    starts = np.arange(rows) * depth
    return _with_orders(made, (starts, starts + depth), rows * depth, channels)


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
    depth, gathered = run // window["kernel_width"], groups > 1 or window["dilation_width"] > 1
    params = {"window": window, "groups": groups, "depth": depth,
              "together": 1 if gathered else window["kernel_width"], "backwards": 0, **_codes(output),
              "matrix": {"channels": channels, "block": block}}
    scratch = _patch_bytes(pixels, block["units"]) + (TILE if pixels >= TILE else 1) * run
    made = Call("tk_conv2d_s8_dsp", call.operands, params, scratch,
                work=_work(pixels * groups, runs, channels, run, block["units"]))
    if groups > 1:
        return made
    size = window["input_height"] * window["input_width"] * window["channels"]
    return _with_orders(made, (window_starts(window), _window_ends(window)), size, channels)


def _codes(output: Mapping[str, Value]) -> dict[str, int]:
    """The range that outputs are cut to, as codes."""
    return {end: output["zero_point"] + output[end] for end in ("low", "high")}


def _patch_bytes(pixels: int, units: int) -> int:
    """Of a tile's patches, or of one patch where there are too few pixels for a tile."""
    return (TILE if pixels >= TILE else 1) * 8 * units


def _work(pixels: int, runs: int, channels: int, run: int, units: int) -> dict[str, int]:
    """Tiles and single patches apart: how many, what is laid out for them in runs and in values, and what is
    worked on in pairs of channels and in units of weights."""
    tiles, singles = divmod(pixels, TILE)
    pairs = (channels + 1) // 2
    return {"calls": 1, "tiles": tiles, "tile_runs": tiles * runs, "tile_values": tiles * runs * run,
            "tile_pairs": tiles * pairs, "tile_units": tiles * pairs * units,
            "singles": singles, "single_runs": singles * runs, "single_values": singles * runs * run,
            "single_pairs": singles * pairs, "single_units": singles * pairs * units}


def _with_orders(call: Call, bounds: tuple[np.ndarray, np.ndarray], input_bytes: int, channels: int) -> Call:
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
    backwards = replace(call, params={**call.params, "backwards": 1}, overlaps=(Overlap(after=after),))
    return replace(call, overlaps=(Overlap(before=before),), backwards=backwards)


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
