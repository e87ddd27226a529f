"""Counts in bins that need no range: a bin holds the float32 values whose top 16 bits agree.

Sign, exponent and 7 bits of mantissa: 65,536 bins, 0.4 to 0.8 % wide. So counts of parts add up to the counts
of the whole, bit for bit, in any order.
"""

from dataclasses import dataclass

import numpy as np

BINS = 1 << 16


@dataclass(frozen=True, eq=False)
class Filled:
    """The bins that hold anything, from the most negative to the most positive.

    low, high: float64 (n,), ends of each bin, within the extremes of the data; neighbours share them
    count:     int64 (n,), > 0
    """

    low: np.ndarray
    high: np.ndarray
    count: np.ndarray


def filled(histogram: np.ndarray, low: float, high: float) -> Filled:
    """The filled bins of an int64 (BINS,) histogram of values in [low, high]."""
    used = np.flatnonzero(histogram)
    negative = used >= BINS // 2  # the sign bit is set
    bins = np.concatenate([used[negative][::-1], used[~negative]])
    near = (bins << 16).astype(np.uint32)
    ends = np.clip(np.stack([near, near + 0x10000]).view(np.float32).astype(np.float64), low, high)
    return Filled(ends.min(axis=0), ends.max(axis=0), histogram[bins])
