"""Depthwise convolutions for MVE.

Windows up to 4x4: words of four rows are laid out, and a window is one gather of four words. Others: tap by
tap.
"""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import ascending, window_starts
from toolchain.lower.c.call import Call, Overlap, Value
from toolchain.lower.c.channels import filled
from toolchain.lower.c.mve.streams import codes, stream
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

COLUMN = 64
"""Bytes of words for a column of 16 channels."""
EVEN_FIRST = (0, 2, 4, 6, 1, 3, 5, 7)
"""Channels as their sums lie in two vectors."""
STRUCT = "tk_depthwise_s8_mve_params"
MOST_COLUMNS = 18
"""Laid out at once: 16 output pixels of a 3x3 window."""


def depthwise_conv2d(call: Call) -> Call | None:
    """tk_depthwise_conv2d_s8."""
    window, height = in_a_row(call.params["window"]), call.params["window"]["kernel_height"]
    if not fits(window):
        return None
    weight = call.params["weight"].data[0]
    if height != window["kernel_height"]:
        weight = weight.transpose(1, 0, 2)
    small = window["kernel_height"] <= 4 and window["kernel_width"] <= 4 and _strip(window) > 0
    return (_by_words if small else _by_taps)(call, window, weight)


def _by_words(call: Call, window: Mapping[str, int], weight: np.ndarray) -> Call:
    """Windows up to 4x4."""
    output, rows, strip = call.params["output"], _rows(window), _strip(window)
    params = {"window": window_params(window, strip), **codes(output),
              "stream": stream(_words(weight), output, 4)}
    kernel = f"tk_depthwise_{'rows' if rows == 2 else 'columns'}_s8_mve"
    return Call(kernel, call.operands, params, _scratch(window, strip), struct=STRUCT,
                overlaps=(_overlap(window, rows, strip),), work=_work(params, rows))


def _by_taps(call: Call, window: Mapping[str, int], weight: np.ndarray) -> Call:
    """Any windows."""
    output, strip, taps = call.params["output"], strip_of(window), _taps(weight)
    params = {"window": window_params(window, strip), **codes(output),
              "stream": stream(taps, output, 8, EVEN_FIRST)}
    pixels = window["output_height"] * window["output_width"]
    work = {"taps": pixels * taps.size // 2, "groups": pixels * len(taps), "pixels": pixels, "calls": 1}
    return Call("tk_depthwise_taps_s8_mve", call.operands, params, scratch_bytes(window, strip),
                struct=STRUCT, overlaps=(strips_overlap(window, window["channels"], strip),),
                work={**work, **layout_work(params["window"])})


def _taps(weight: np.ndarray) -> np.ndarray:
    """[groups, 2 * taps] int32 of weights [kh, kw, channels]: eight channels of a tap, column by column."""
    height, width, _ = weight.shape
    columns = filled(weight.transpose(1, 0, 2), 1, 1, 8)
    groups = columns.reshape(height * width, -1, 8).transpose(1, 0, 2)
    return np.ascontiguousarray(groups).reshape(len(groups), -1).view("<i4")


def _rows(window: Mapping[str, int]) -> int:
    """Of outputs at a time."""
    fits = window["kernel_height"] <= 3 and window["stride_height"] == window["dilation_height"] == 1
    return 2 if fits and window["output_height"] > 1 else 1


def _columns(window: Mapping[str, int], count: int) -> int:
    """Of x under the windows of `count` neighbouring output pixels."""
    return (count - 1) * window["stride_width"] + (window["kernel_width"] - 1) * window["dilation_width"] + 1


def _strip(window: Mapping[str, int]) -> int:
    """Output pixels at once, as even as they come; 0 where a window alone is too wide."""
    width = window["output_width"]
    most = max((count for count in range(1, width + 1) if _columns(window, count) <= MOST_COLUMNS), default=0)
    if most == 0:
        return 0
    even = -(-width // -(-width // most))
    return min(width, most, even + even % 2)


def _scratch(window: Mapping[str, int], strip: int) -> int:
    return COLUMN * _columns(window, strip) + 16 + (8 * strip if window["channels"] % 4 else 0)


def _words(weight: np.ndarray) -> np.ndarray:
    """[groups, 16] int32 of weights [kh, kw, channels]: per channel four columns of four rows."""
    return filled(weight.transpose(2, 1, 0), 4, 4, 4).reshape(-1, 64).view("<i4")


def _overlap(window: Mapping[str, int], rows: int, strip: int) -> Overlap:
    """A strip reads x again for each 16 channels, after outputs of those before."""
    shape = window["output_height"], window["output_width"]
    reads = window_starts(window).reshape(shape)[::rows, ::strip].ravel()
    row, column = np.mgrid[:shape[0]:rows, :shape[1]:strip]
    last = (np.minimum(row + rows, shape[0]) - 1) * shape[1] + np.minimum(column + strip, shape[1])
    return ascending(reads, last.ravel() * window["channels"])


def _work(params: Mapping[str, Value], rows: int) -> dict[str, int]:
    """Units whose instructions are much the same for all shapes.

    tiles: 2 outputs of 4 channels;  groups: of 4 channels for a strip;  blocks: of 16 channels for a strip;
    columns: of words;  odd: strips whose channels are no multiple of 4
    """
    window = params["window"]
    bands, channels, widths = -(-window["output_height"] // rows), window["channels"], counts(window)
    strips, groups, blocks = bands * len(widths), -(-channels // 4), -(-channels // 16)
    tiles = bands * groups * sum(count if rows == 2 else -(-count // 2) for count in widths)
    return {"tiles": tiles, "exact": tiles * params["exact"], "groups": strips * groups,
            "blocks": strips * blocks, "columns": bands * blocks * sum(_columns(window, n) for n in widths),
            "strips": strips, "odd": strips * (channels % 4 != 0), "calls": 1}
