"""Depthwise convolutions for MVE: words of four rows, a window one gather of four words."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.call import Call, Overlap, Value
from toolchain.lower.c.mve.streams import codes, fits, stream, window_params
from toolchain.lower.c.overlap import ascending, window_starts

COLUMN = 64
"""Bytes of words for a column of 16 channels."""
MOST_COLUMNS = 18
"""Laid out at once: 16 output pixels of a 3x3 window."""


def depthwise_conv2d(call: Call) -> Call | None:
    """tk_depthwise_conv2d_s8, of windows up to 4x4."""
    window, output = call.params["window"], call.params["output"]
    if window["kernel_height"] > 4 or window["kernel_width"] > 4 or not fits(window):
        return None
    rows, strip = _rows(window), _strip(window)
    if not strip:
        return None
    params = {"window": window_params(window, strip), **codes(output),
              "stream": stream(_words(call.params["weight"].data[0]), output, 4)}
    kernel = f"tk_depthwise_{'rows' if rows == 2 else 'columns'}_s8_mve"
    return Call(kernel, call.operands, params, _scratch(window, strip), struct="tk_depthwise_s8_mve_params",
                overlaps=(_overlap(window, rows, strip),), work=_work(params, rows))


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
    height, width, channels = weight.shape
    full = np.zeros((-(-channels // 4) * 4, 4, 4), np.int8)
    full[:channels, :width, :height] = weight.transpose(2, 1, 0)
    return full.reshape(-1, 64).view("<i4")


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
    bands, channels, strip = -(-window["output_height"] // rows), window["channels"], window["strip"]
    counts = [min(strip, window["output_width"] - first) for first in range(0, window["output_width"], strip)]
    strips, groups, blocks = bands * len(counts), -(-channels // 4), -(-channels // 16)
    tiles = bands * groups * sum(count if rows == 2 else -(-count // 2) for count in counts)
    return {"tiles": tiles, "exact": tiles * params["exact"], "groups": strips * groups,
            "blocks": strips * blocks, "columns": bands * blocks * sum(_columns(window, n) for n in counts),
            "strips": strips, "odd": strips * (channels % 4 != 0), "calls": 1}
