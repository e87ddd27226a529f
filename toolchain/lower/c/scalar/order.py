"""In which order kernels of this room read and write: how far their output may lie over their input."""

from collections.abc import Mapping

import numpy as np

from toolchain.lower.c.call import Overlap


def steps_of(rows: int, at_once: int) -> tuple[np.ndarray, np.ndarray]:
    """First row and end of each step over `rows` rows."""
    first = np.arange(0, rows, at_once)
    return first, np.minimum(first + at_once, rows)


def forwards(reads: np.ndarray, writes: np.ndarray) -> Overlap:
    """Of steps that read from reads[k] on, and write up to writes[k] while they read."""
    return Overlap(before=_room(reads, writes))


def backwards(reads: np.ndarray, writes: np.ndarray, sizes: tuple[int, int]) -> Overlap:
    """Of steps from the end on, that read up to reads[k] and write from writes[k] on while they read.

    sizes: bytes of input and output
    """
    return Overlap(after=_room(sizes[0] - reads, sizes[1] - writes))


def _room(reads: np.ndarray, writes: np.ndarray) -> int:
    """Bytes before the input's start where the output begins at least; below 0: after it, at most."""
    still_read = np.minimum.accumulate(reads[::-1])[::-1]
    return int((writes - still_read).max())


def window_starts(window: Mapping[str, int]) -> np.ndarray:
    """Where in the input each output pixel's window begins, in bytes, at least: no padding counted."""
    top, left = (np.maximum(np.arange(window[f"output_{axis}"]) * window[f"stride_{axis}"] - window[pad], 0)
                 for axis, pad in (("height", "pad_top"), ("width", "pad_left")))
    return ((top[:, None] * window["input_width"] + left) * window["channels"]).ravel()
