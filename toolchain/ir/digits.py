"""The axes that a reshape keeps, whole or as parts of others.

Row-major order counts values as a clock counts seconds: each axis is one or more digits, each digit with a
stride. A reshape keeps the count and splits it otherwise into axes. A digit that lies within one axis before
and within one axis after can lose some of its values, and what stays is still in order.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import mul

import numpy as np

from toolchain.ir.graph import Shape


@dataclass(frozen=True)
class Place:
    """Where a digit lies: on an axis of `length`, `step` of whose coordinates make one count of it."""

    axis: int
    step: int
    length: int


@dataclass(frozen=True)
class Digit:
    """`size` values, counted along one axis before the reshape and along one behind it."""

    size: int
    old: Place
    new: Place

    def joined(self) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates on the old and on the new axis, pairwise of one value: all of both axes."""
        old, new = (np.arange(p.length) // p.step % self.size for p in (self.old, self.new))
        return (np.concatenate([np.arange(self.old.length), new * self.old.step]),
                np.concatenate([old * self.new.step, np.arange(self.new.length)]))

    def crosses(self, other: "Digit") -> bool:
        """Whether both lie on one axis, so that only one of them can lose values."""
        return self.old.axis == other.old.axis or self.new.axis == other.new.axis


def digits(old: Shape, new: Shape) -> list[Digit]:
    """Those of more than one value that a reshape from `old` to `new` keeps, the last axis first."""
    ends = sorted({*_strides(old), *_strides(new)})
    placed = ((high // low, _place(old, low, high), _place(new, low, high))
              for low, high in pairwise(ends) if high % low == 0)
    return [Digit(*found) for found in placed if None not in found]


def _strides(shape: Shape) -> list[int]:
    """Of each axis from the last one, and how many values there are."""
    return list(accumulate(reversed(shape), mul, initial=1))


def _place(shape: Shape, low: int, high: int) -> Place | None:
    """The axis that holds the digit from stride `low` to `high`, if one does."""
    for back, (stride, size) in enumerate(zip(_strides(shape), reversed(shape)), start=1):
        if stride <= low and high <= stride * size:
            fits = low % stride == 0 and stride * size % high == 0
            return Place(len(shape) - back, low // stride, size) if fits else None
    return None


def ways(found: Sequence[Digit]) -> list[list[tuple[Digit, ...]]]:
    """Per run of digits that share axes, the sets of them that can lose values at once.

    Each digit is in one set at least; the first set prefers the last axes.
    """
    return [list(dict.fromkeys(_apart(first, run) for first in run)) for run in _runs(found)]


def _runs(found: Sequence[Digit]) -> Iterator[list[Digit]]:
    run: list[Digit] = []
    for digit in found:
        if run and not digit.crosses(run[-1]):
            yield run
            run = []
        run.append(digit)
    if run:
        yield run


def _apart(first: Digit, run: Sequence[Digit]) -> tuple[Digit, ...]:
    """`first` and, in order, every digit that crosses none before it."""
    taken = [first]
    for digit in run:
        if not any(digit.crosses(other) for other in taken):
            taken.append(digit)
    return tuple(sorted(taken, key=run.index))
