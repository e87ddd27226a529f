"""Count values into the bins of `histogram` and find their extremes: in C where it is compiled, or in numpy.

The package's installation compiles counting.c if it finds a compiler. Both count the same.
"""

import ctypes
from functools import reduce
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np

from toolchain.quantize.histogram import BINS

LANES = 4
"""Counts that counting.c keeps of each bin; their sum is the bin's."""
OCTAVES = 512
"""Of the bins, 128 for a sign and exponent; most are empty."""
CAPACITY = 2**32 - 1
"""Values after which one of the 32-bit counts may be full."""
BLOCK = 1 << 18
"""Values that numpy counts at a time; what stays in the processor's cache is counted a quarter faster."""


def compiled() -> Path | None:
    """The library made of counting.c, None where there is none."""
    paths = (Path(__file__).with_name(f"counting_c{suffix}") for suffix in EXTENSION_SUFFIXES)
    return next((path for path in paths if path.is_file()), None)


def _load():
    """`edge_observe` of counting.c, or None."""
    path = compiled()
    if path is None:
        return None
    observe = ctypes.CDLL(str(path)).edge_observe
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    observe.argtypes, observe.restype = (pointer, size, size, pointer, pointer), None
    return observe


OBSERVE = _load()


def row_extremes(values: np.ndarray, lanes: int | None = None) -> np.ndarray:
    """Smallest and largest value of each row of float32 (n, m), contiguous: float32 (n, 2).

    NaN shows in both.
    lanes: address of uint32 (BINS, LANES) that the values are counted into, in C
    """
    if OBSERVE is None:
        return np.stack([values.min(axis=1), values.max(axis=1)], axis=1)
    extremes = np.empty((len(values), 2), np.float32)
    OBSERVE(values.ctypes.data, *values.shape, extremes.ctypes.data, lanes)
    return extremes


class LaneCounter:
    """How many values each bin holds, counted in C; 1 MiB, of which untouched pages take none."""

    def __init__(self):
        self._lanes = np.zeros((BINS, LANES), np.uint32)
        self._address = self._lanes.ctypes.data
        self._in_lanes = 0
        self._flushed: np.ndarray | None = None

    def add(self, values: np.ndarray) -> np.ndarray:
        """Count float32 (n, m), contiguous; returns its `row_extremes`. Raises ValueError beyond CAPACITY."""
        if values.size > CAPACITY:
            raise ValueError(f"{values.size:,} values at a time; at most {CAPACITY:,} are counted")
        if self._in_lanes + values.size > CAPACITY:
            self._flushed, self._in_lanes = self.counts(), 0
            self._lanes[:] = 0
        self._in_lanes += values.size
        return row_extremes(values, self._address)

    def counts(self) -> np.ndarray:
        """int64 (BINS,), a copy."""
        octaves = self._lanes.reshape(OCTAVES, -1)
        used = octaves.max(axis=1) > 0
        first, *others = np.moveaxis(octaves[used].reshape(-1, BINS // OCTAVES, LANES), -1, 0)
        counts = np.zeros(BINS, np.int64)
        counts.reshape(OCTAVES, -1)[used] = sum(others, start=first.astype(np.int64))
        return counts if self._flushed is None else counts + self._flushed


class NumpyCounter:
    """How many values each bin holds, counted by numpy."""

    def __init__(self):
        self._counts = np.zeros(BINS, np.int64)

    def add(self, values: np.ndarray) -> np.ndarray:
        """Count float32 (n, m), contiguous; returns its `row_extremes`."""
        bits = values.reshape(-1).view(np.uint32)
        blocks = (bits[start:start + BLOCK] >> 16 for start in range(0, bits.size, BLOCK))
        self._counts += reduce(np.add, (np.bincount(block, minlength=BINS) for block in blocks))
        return row_extremes(values)

    def counts(self) -> np.ndarray:
        """int64 (BINS,), a copy."""
        return self._counts.copy()


Counter = NumpyCounter if OBSERVE is None else LaneCounter
