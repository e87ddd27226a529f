"""What calibration keeps of a tensor's values: exact extremes and, for percentiles, exact counts in bins.

A bin holds the float32 values whose top 16 bits (sign, exponent, 7 bits of mantissa) agree: 65,536 bins,
0.8 % wide, for which no range has to be known. So statistics of parts merge into the statistics of the whole,
bit for bit, in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np

from toolchain.recipe import CalibrateConfig

BINS = 1 << 16
ASCENDING = np.concatenate([np.arange(BINS - 1, BINS // 2 - 1, -1), np.arange(BINS // 2)])
"""Bins from the most negative values to the most positive: above 0x7FFF the sign bit is set."""
BLOCK = 1 << 18
"""Values counted at a time; what stays in the processor's cache is counted a quarter faster."""


@dataclass(frozen=True, eq=False)
class TensorStats:
    """What was seen of one tensor.

    low, high: smallest and largest value
    count:     how many values
    histogram: int64 (BINS,), or None where the observer needs none
    keep:      percent of the values that `range` must hold; 100 = all
    """

    low: float
    high: float
    count: int
    histogram: np.ndarray | None = None
    keep: float = 100.0

    def merge(self, other: "TensorStats") -> "TensorStats":
        """Statistics of both parts; associative and commutative. Raises ValueError for unlike observers."""
        if self.keep != other.keep or (self.histogram is None) != (other.histogram is None):
            raise ValueError("statistics of different observers cannot be merged")
        histogram = None if self.histogram is None else self.histogram + other.histogram
        low, high = min(self.low, other.low), max(self.high, other.high)
        return TensorStats(low, high, self.count + other.count, histogram, self.keep)

    @property
    def range(self) -> tuple[float, float]:
        """The interval to quantize: all values, or without the (100 - keep) / 2 percent at either end.

        Its ends are bin edges within 0.8 % outwards of the percentiles, never beyond `low` and `high`.
        """
        if self.histogram is None:
            return self.low, self.high
        cut = int(self.count * (100 - self.keep) / 200)
        upto = np.cumsum(self.histogram[ASCENDING])
        first, last = ASCENDING[np.searchsorted(upto, [cut, self.count - 1 - cut], "right")]
        return max(self.low, min(_edges(int(first)))), min(self.high, max(_edges(int(last))))


def _edges(index: int) -> tuple[float, float]:
    """The two extreme values of a bin."""
    near, far = np.array([index << 16, index << 16 | 0xFFFF], np.uint32).view(np.float32)
    return float(near), float(far)


def observe_extremes(values: np.ndarray, config: CalibrateConfig) -> TensorStats:
    """Min-max: NaN shows in both extremes, Inf in one."""
    return TensorStats(float(values.min()) + 0.0, float(values.max()) + 0.0, values.size)


def observe_histogram(values: np.ndarray, config: CalibrateConfig) -> TensorStats:
    """Min-max, and how many values each bin holds."""
    extremes = observe_extremes(values, config)
    flat = np.ascontiguousarray(values, np.float32).reshape(-1).view(np.uint32)
    blocks = (flat[start:start + BLOCK] >> 16 for start in range(0, flat.size, BLOCK))
    histogram = reduce(np.add, (np.bincount(block, minlength=BINS) for block in blocks))
    return TensorStats(extremes.low, extremes.high, extremes.count, histogram, config.percentile)


OBSERVER: Mapping[str, Callable[[np.ndarray, CalibrateConfig], TensorStats]] = {
    "minmax": observe_extremes,
    "percentile": observe_histogram,
}
