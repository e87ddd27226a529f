"""What calibration keeps of a tensor's values, and the range that an observer makes of it.

Exact extremes and, as the observer needs, exact counts in bins or the extremes of each sample: all of it
merges into the statistics of the whole, bit for bit, in any order.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from toolchain.quantize.counting import Counter, row_extremes
from toolchain.quantize.histogram import Filled, filled
from toolchain.quantize.ranges import Range, moving_average_range, percentile_range
from toolchain.quantize.ranges_entropy import entropy_range
from toolchain.quantize.ranges_mse import mse_range
from toolchain.recipe import CalibrateConfig


class RowExtremes(NamedTuple):
    """Extremes of each sample.

    rows:      int64 (n,), ascending, each once
    low, high: float32 (n,)
    """

    rows: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class TensorStats:
    """What was seen of one tensor.

    low, high: smallest and largest value; NaN in both where one was NaN
    count:     how many values
    histogram: int64 (BINS,), or None where the observer needs none
    by_row:    extremes of each sample, or None where the observer needs none
    config:    the observer whose `range` this is, and its settings
    """

    low: float
    high: float
    count: int
    histogram: np.ndarray | None = None
    by_row: RowExtremes | None = None
    config: CalibrateConfig = CalibrateConfig(observer="minmax")

    def merge(self, other: "TensorStats") -> "TensorStats":
        """Statistics of both parts; associative and commutative. Raises ValueError for unlike observers."""
        if settings(self.config) != settings(other.config) or self.keeps != other.keeps:
            raise ValueError("statistics of different observers cannot be merged")
        return replace(
            self, low=float(np.minimum(self.low, other.low)), high=float(np.maximum(self.high, other.high)),
            count=self.count + other.count,
            histogram=None if self.histogram is None else self.histogram + other.histogram,
            by_row=None if self.by_row is None else united([self.by_row, other.by_row]))

    @property
    def keeps(self) -> frozenset[str]:
        """Which of the optional fields are there."""
        return frozenset(name for name in ("histogram", "by_row") if getattr(self, name) is not None)

    def seen_by(self, config: CalibrateConfig) -> "TensorStats":
        """The same statistics through another observer.

        Raises ValueError where what it needs was not kept.
        """
        if missing := OBSERVER[config.observer].needs - self.keeps:
            raise ValueError(f"observer {config.observer} needs {NEEDED[min(missing)]}, which observer "
                             f"{self.config.observer} does not keep; calibrate with {config.observer}")
        return replace(self, config=config)

    @cached_property
    def bins(self) -> Filled:
        """The filled bins of the histogram."""
        return filled(self.histogram, self.low, self.high)

    @cached_property
    def range(self) -> Range:
        """The interval to quantize, within the extremes."""
        return OBSERVER[self.config.observer].range(self)

    def range_for(self, dtype: str) -> Range:
        """The interval to quantize to codes of `dtype`.

        Entropy and mse weigh what 256 codes lose by reaching further. Among the 65,536 of int16 that is next
        to nothing: there all values are held.
        """
        weighs = self.config.observer in WEIGHS_256
        return (self.low, self.high) if dtype == "int16" and weighs else self.range


class Observer(NamedTuple):
    """needs: the optional fields of TensorStats that `range` reads."""

    needs: frozenset[str]
    range: Callable[[TensorStats], Range]


NEEDED = {"histogram": "counts in bins", "by_row": "the extremes of each sample"}
COUNTS, ROWS = frozenset({"histogram"}), frozenset({"by_row"})
OBSERVER: Mapping[str, Observer] = {
    "minmax": Observer(frozenset(), lambda stats: (stats.low, stats.high)),
    "moving_average": Observer(ROWS, lambda stats: moving_average_range(
        stats.by_row.low.tolist(), stats.by_row.high.tolist(), stats.config.smoothing)),
    "percentile": Observer(COUNTS, lambda stats: percentile_range(stats.bins, stats.config.percentile)),
    "entropy": Observer(COUNTS, lambda stats: entropy_range(stats.bins, stats.low, stats.high)),
    "mse": Observer(COUNTS, lambda stats: mse_range(stats.bins, stats.low, stats.high)),
}
WEIGHS_256 = frozenset({"entropy", "mse"})
SETTING = {"percentile": "percentile", "moving_average": "smoothing"}
"""The field of CalibrateConfig that an observer reads beside its name."""


ZERO = np.float32(0)
"""Added, it makes 0.0 of -0.0, of which the order of values would decide."""


def settings(config: CalibrateConfig) -> dict[str, str | float]:
    """What of `config` a range depends on."""
    names = ["observer", *([SETTING[config.observer]] if config.observer in SETTING else [])]
    return {name: getattr(config, name) for name in names}


def united(parts: list[RowExtremes]) -> RowExtremes:
    """Extremes of the rows of all parts; those of a row in several are its outermost."""
    rows, place = np.unique(np.concatenate([part.rows for part in parts]), return_inverse=True)
    low, high = (np.full(rows.shape, end, np.float32) for end in (np.inf, -np.inf))
    with np.errstate(invalid="ignore"):  # NaN stays NaN
        np.minimum.at(low, place, np.concatenate([part.low for part in parts]))
        np.maximum.at(high, place, np.concatenate([part.high for part in parts]))
    return RowExtremes(rows, low, high)


APART = 64
"""Batches whose rows are kept apart: small arrays take many times what they hold."""


class Accumulator:
    """The statistics of one tensor while its batches come.

    low, high, count: so far, as in TensorStats
    """

    def __init__(self, config: CalibrateConfig):
        self.config = config
        self.low, self.high, self.count = np.inf, -np.inf, 0
        needs = OBSERVER[config.observer].needs
        self._counter = Counter() if "histogram" in needs else None
        self._parts: list[RowExtremes] | None = [] if "by_row" in needs else None

    def add(self, values: np.ndarray, rows: np.ndarray) -> None:
        """Take in floats, which may be overwritten afterwards: (n, ...), or what makes n equal parts.

        rows: int64 (n,), each sample's row in its set
        """
        parts = 1 if self._parts is None else len(rows)
        flat = np.ascontiguousarray(values, np.float32).reshape(parts, -1)
        ends = row_extremes(flat) if self._counter is None else self._counter.add(flat)
        for low, high in ends.tolist():
            if low < self.low or low != low:  # NaN comes in and stays: nothing is smaller
                self.low = low + 0.0
            if high > self.high or high != high:
                self.high = high + 0.0
        self.count += flat.size
        if self._parts is not None:
            ends += ZERO
            self._parts.append(RowExtremes(np.array(rows, np.int64), ends[:, 0], ends[:, 1]))
            if len(self._parts) == APART:
                self._parts = [united(self._parts)]

    def stats(self) -> TensorStats:
        """What was seen so far. Raises ValueError where nothing was."""
        if not self.count:
            raise ValueError("nothing was observed")
        return TensorStats(self.low, self.high, self.count,
                           None if self._counter is None else self._counter.counts(),
                           None if self._parts is None else united(self._parts), self.config)
