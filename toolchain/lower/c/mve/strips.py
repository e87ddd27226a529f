"""Windows of MVE kernels, in strips that tk_layout_s8_mve lays out: sizes, overlaps, how many at once."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.arena.overlap import ascending, window_starts
from toolchain.lower.c.call import Overlap
from toolchain.lower.c.mve.streams import chunks

STRIP_BYTES = 1024
"""Of scratch that a strip of windows should take at most."""
LONGEST_STRIP = 16
"""Output pixels that are laid out at once; more gain nothing."""


def window_params(window: Mapping[str, int], strip: int) -> dict[str, int]:
    """tk_window_s8_mve."""
    return {**window, "strip": strip}


def in_a_row(window: Mapping[str, int]) -> Mapping[str, int]:
    """The window as it is, or of one column the same as of one row: the bytes lie the same way."""
    names = ("input_width", "output_width", "kernel_width")
    if window["pad_left"] or any(window[name] > 1 for name in names):
        return window
    turned = {name.replace("height", "width"): value for name, value in window.items() if "height" in name}
    column = {name.replace("width", "height"): value for name, value in window.items() if "width" in name}
    return {**window, **turned, **column, "pad_left": window["pad_top"], "pad_top": 0}


def fits(window: Mapping[str, int]) -> bool:
    """Whether a window's sizes fit tk_window_s8_mve."""
    return all(value < (2**15 if name.startswith(("input", "output", "channels")) else 2**8)
               for name, value in window.items())


def columns(window: Mapping[str, int], count: int) -> int:
    """Of x that are laid out for `count` neighbouring output pixels: shared where they are not dilated."""
    if window["dilation_width"] > 1:
        return count * window["kernel_width"]
    return (count - 1) * window["stride_width"] + window["kernel_width"]


def _column_bytes(window: Mapping[str, int]) -> int:
    """Bytes of a column of a window."""
    return window["kernel_height"] * window["channels"]


def strip_of(window: Mapping[str, int]) -> int:
    """Output pixels at once: an even number unless that is all, and as even as they come."""
    width = window["output_width"]
    most = max((count for count in range(2, LONGEST_STRIP + 1, 2)
                if columns(window, count) * _column_bytes(window) <= STRIP_BYTES), default=2)
    strips = -(-width // most)
    return min(width, -(-width // strips) + 1 & ~1)


def strips_overlap(window: Mapping[str, int], channels: int, strip: int) -> Overlap:
    """A strip's windows are laid out before its outputs are written, unless they are rows of x itself."""
    shape = window["output_height"], window["output_width"]
    reads = window_starts(window).reshape(shape)[:, ::strip].ravel()
    writes = np.arange(1, shape[0] * shape[1] + 1).reshape(shape) * channels
    ends = np.concatenate([writes[:, strip - 1:-1:strip], writes[:, -1:]], axis=1).ravel()
    return ascending(reads, ends, reads_first=window["kernel_height"] > 1)


def scratch_bytes(window: Mapping[str, int], strip: int) -> int:
    return columns(window, strip) * _column_bytes(window)


def counts(window: Mapping[str, int]) -> list[int]:
    """Output pixels of each strip of a row. window: tk_window_s8_mve"""
    width, strip = window["output_width"], window["strip"]
    return [min(strip, width - first) for first in range(0, width, strip)]


def layout_work(window: Mapping[str, int]) -> dict[str, int]:
    """lines: of columns laid out for a strip;  pieces, vectors: moved for them. window: tk_window_s8_mve"""
    lines = window["output_height"] * window["kernel_height"]
    pieces = lines * sum(columns(window, count) for count in counts(window))
    return {"lines": lines * len(counts(window)), "pieces": pieces,
            "vectors": pieces * chunks(window["channels"])}
