"""How far an output may lie over the input that it is made of: from the order of reads and writes."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.lower.c.call import Call, Overlap

NEVER = 2**40
"""Where a byte lies that is not read again."""


def ascending(reads: np.ndarray, writes: np.ndarray, reads_first: bool = False) -> Overlap:
    """Of work whose step t reads no byte of the input below reads[t], and writes the output up to writes[t],
    not in order: a byte may be written once no step from that one on reads it.

    reads_first: a step reads all of its bytes before it writes any, so that those of later steps alone count
    """
    if reads_first:
        reads = np.append(reads[1:], NEVER)
    needed = np.minimum.accumulate(reads[::-1])[::-1]
    before = max(int((writes - needed).max()), 0)
    return Overlap(before=before, exact=before == 0)


def descending(reads: np.ndarray, writes: np.ndarray, sizes: tuple[int, int],
               reads_first: bool = False) -> Overlap:
    """The same for work from the end on: step t reads no byte from reads[t] on and writes from writes[t] on.

    sizes: bytes of input and output
    """
    return Overlap(after=ascending(sizes[0] - reads, sizes[1] - writes, reads_first).before)


def row_overlaps(rows: int, at_once: int, read: int, written: int,
                 reads_first: bool = False) -> tuple[Overlap, Overlap]:
    """Of rows of `read` bytes that become rows of `written` bytes, `at_once` at a time: from the first on,
    and from the last on."""
    first, end = row_steps(rows, at_once)
    return (ascending(first * read, end * written, reads_first),
            descending((rows - first) * read, (rows - end) * written, (rows * read, rows * written),
                       reads_first))


def both_ways(call: Call, forwards: Overlap, backwards: Overlap) -> Call:
    """The call with its overlaps, and with the same work backwards: by a parameter `backwards` of 1."""
    turned = replace(call, params={**call.params, "backwards": 1}, overlaps=(backwards,))
    return replace(call, overlaps=(forwards,), backwards=turned)


def row_steps(rows: int, at_once: int) -> tuple[np.ndarray, np.ndarray]:
    """First row and end of each step over `rows` rows."""
    first = np.arange(0, rows, at_once)
    return first, np.minimum(first + at_once, rows)


def window_starts(window: Mapping[str, int]) -> np.ndarray:
    """Where in the input each output pixel's window begins, in bytes, no higher than what it reads."""
    top, left = (np.maximum(np.arange(window[f"output_{axis}"]) * window[f"stride_{axis}"] - window[pad], 0)
                 for axis, pad in (("height", "pad_top"), ("width", "pad_left")))
    return ((top[:, None] * window["input_width"] + left) * window["channels"]).ravel()
