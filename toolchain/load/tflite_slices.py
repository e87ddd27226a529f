"""STRIDED_SLICE's masks. Source: reference/strided_slice.h and kernels/strided_slice.cc in TFLite."""

from collections.abc import Mapping, Sequence

import numpy as np

Bounds = list[tuple[int, int, int]]
"""(begin, end, stride) of each input axis, clamped to the axis; stride may be below 0."""


def strided_slices(shape: tuple[int, ...], vectors: Sequence[np.ndarray], options: Mapping) -> Bounds:
    """What is taken of each axis of an input of `shape`; a shrunk axis takes one, a new axis nothing.

    vectors: begin, end, strides, one for each entry of the slice
    Raises ValueError where the entries do not fit the shape.
    """
    entries = _spread(len(shape), list(zip(*(v.reshape(-1).tolist() for v in vectors), strict=True)), options)
    return [_bounds(n, *entry) for n, entry in zip(shape, entries, strict=True)]


def _spread(rank: int, entries: list[tuple[int, int, int]], options: Mapping) -> list[tuple]:
    """One (begin, end, stride) for each axis; None where a mask leaves an end open."""
    bits = {name: options[f"{name}Mask"] for name in ("begin", "end", "ellipsis", "newAxis", "shrinkAxis")}
    own = sum(not (bits["ellipsis"] >> i & 1 or bits["newAxis"] >> i & 1) for i in range(len(entries)))
    spread: list[tuple] = []
    for i, (begin, end, stride) in enumerate(entries):
        if bits["ellipsis"] >> i & 1:
            spread += [(None, None, 1)] * (rank - own)
        elif not bits["newAxis"] >> i & 1:
            end = begin + end if options["offset"] else end
            if bits["shrinkAxis"] >> i & 1:
                spread.append((begin, begin + 1 or None, 1))
            else:
                spread.append((None if bits["begin"] >> i & 1 else begin,
                               None if bits["end"] >> i & 1 else end, stride))
    return spread + [(None, None, 1)] * (rank - len(spread))


def _bounds(size: int, begin: int | None, end: int | None, stride: int) -> tuple[int, int, int]:
    begin, end, stride = slice(begin, end, stride).indices(size)
    return begin, end if end >= 0 else None, stride
