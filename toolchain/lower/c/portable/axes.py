"""Many axes made few: what a kernel's nested loops walk over."""

from collections.abc import Sequence
from math import prod

from toolchain.errors import Unsupported
from toolchain.ir.graph import Op

Axis = tuple[int, ...]
"""(size, stride in the first array, stride in the second ...), in elements."""


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Elements between neighbours along each axis of a contiguous array."""
    return tuple(prod(shape[i + 1:]) for i in range(len(shape)))


def broadcast_strides(shape: Sequence[int], to: Sequence[int]) -> tuple[int, ...]:
    """Strides of an array of `shape` read as one of shape `to`: 0 where it repeats."""
    own = [0 if n == 1 else stride for n, stride in zip(shape, strides(shape), strict=True)]
    return (0,) * (len(to) - len(shape)) + tuple(own)


def collapse(sizes: Sequence[int], *all_strides: Sequence[int]) -> list[Axis]:
    """The same walk with fewer axes: those of size 1 go, neighbours in one run in every array merge."""
    merged: list[Axis] = []
    for axis in zip(sizes, *all_strides, strict=True):
        if axis[0] == 1:
            continue
        if merged and _in_one_run(merged[-1], axis):
            axis = (merged.pop()[0] * axis[0], *axis[1:])
        merged.append(axis)
    return merged


def _in_one_run(outer: Axis, inner: Axis) -> bool:
    return all(a == b * inner[0] for a, b in zip(outer[1:], inner[1:], strict=True))


def columns(op: Op, axes: list[Axis], rank: int, arrays: int) -> tuple[tuple[int, ...], ...]:
    """(sizes, strides ...) of exactly `rank` axes, ones put before. Raises Unsupported for more."""
    if len(axes) > rank:
        raise Unsupported(f"{op.name}: {op.kind} over {len(axes)} axes that do not merge, C takes {rank}; "
                          f"put a reshape before it")
    full = [(1,) + (0,) * arrays] * (rank - len(axes)) + axes
    return tuple(zip(*full, strict=True))
