"""Constant arrays of a network that a larger network of the same chain holds too: in flash they are once.

A slice of a network, its first channels, has weights whose codes are part of the larger one's. Rows alone are
the beginning of the larger array, and are read there; rows and columns are laid out in RAM before the call
(tk_fetch.h), so that every core's own kernels take them. Bytes decide: what is borrowed is equal, whatever
order a kernel has its weights in.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import gcd

import numpy as np

from toolchain.lower.c.call import Array, Blocks, Borrowed, Call, Value

LEAST_READ, LEAST_FETCHED = 32, 128
"""Bytes of an array that is worth being read elsewhere, and fetched: to say where takes some flash, too."""


@dataclass(frozen=True, eq=False)
class Lent:
    """An array that other networks may read. symbol: its name in C"""

    symbol: str
    data: np.ndarray


def borrowing(lent: Sequence[Lent]) -> Callable[[Call], Call]:
    """What makes of a call the same one, whose arrays are borrowed where they can be."""
    def borrowed(call: Call) -> Call:
        backwards = call.backwards and borrowed(call.backwards)
        return replace(call, params=_borrowed(call.params, lent), backwards=backwards)

    return borrowed


def _borrowed(value: Value, lent: Sequence[Lent]) -> Value:
    if isinstance(value, Array):
        return _lender(value, lent) or value
    if isinstance(value, Mapping):
        return {key: _borrowed(part, lent) for key, part in value.items()}
    return value


def _lender(array: Array, lent: Sequence[Lent]) -> Borrowed | None:
    """The first that it can be read in, else the first that it can be fetched from."""
    size = array.data.nbytes
    if size >= LEAST_READ:
        for each in lent:
            if begins(array.data, each.data):
                return Borrowed(array.role, array.data, each.symbol)
    if size >= LEAST_FETCHED:
        for each in lent:
            if blocks := blocks_in(array.data, each.data):
                return Borrowed(array.role, array.data, each.symbol, blocks)
    return None


def begins(part: np.ndarray, whole: np.ndarray) -> bool:
    """Whether the bytes of an array are the first of another's."""
    return part.dtype == whole.dtype and part.size <= whole.size and np.array_equal(
        part.ravel(), whole.ravel()[:part.size])


def blocks_in(part: np.ndarray, whole: np.ndarray) -> Blocks | None:
    """How an array lies in another one as first parts of its first rows: the first axis is the rows', the
    others are cut into as many parts as it takes. None where it does not."""
    if part.dtype != whole.dtype or part.size == 0 or len(part) > len(whole) or part.size > whole.size:
        return None
    rows, size = len(part), part.dtype.itemsize
    inner, outer = part.size // rows, whole.size // len(whole)
    if inner > outer:
        return None
    own, there = part.reshape(rows, inner), whole.reshape(len(whole), outer)[:rows]
    for parts in _divisors(gcd(inner, outer)):
        run, step = inner // parts, outer // parts
        if np.array_equal(own.reshape(rows, parts, run), there.reshape(rows, parts, step)[:, :, :run]):
            return Blocks(rows, parts, run * size, outer * size, step * size, int(part.dtype == np.int32))
    return None


def _divisors(number: int) -> Iterator[int]:
    return (each for each in range(1, number + 1) if number % each == 0)
