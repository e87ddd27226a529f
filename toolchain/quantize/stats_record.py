"""What is seen of a tensor, as a file holds it: the filled bins alone, numbers that come back bit for bit."""

from typing import Annotated

import msgspec
import numpy as np

from toolchain.quantize.histogram import BINS, filled
from toolchain.quantize.observers import OBSERVER, RowExtremes, TensorStats
from toolchain.recipe import CalibrateConfig

Count = Annotated[int, msgspec.Meta(ge=1, le=2**62)]
Row = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
Bin = Annotated[int, msgspec.Meta(ge=0, lt=BINS)]


class HistogramRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The filled bins, ascending, and their counts."""

    bins: tuple[Bin, ...]
    counts: tuple[Count, ...]


class RowsRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Extremes of each sample, rows ascending."""

    rows: tuple[Row, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]


class TensorRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """TensorStats of one tensor, and the range that the observer makes of them."""

    low: float
    high: float
    count: Count
    range: tuple[float, float]
    histogram: HistogramRecord | None = None
    by_row: RowsRecord | None = None


def record_of(stats: TensorStats) -> TensorRecord:
    """The statistics, to be written down."""
    histogram, by_row = stats.histogram, stats.by_row
    if histogram is not None:
        bins = np.flatnonzero(histogram)
        histogram = HistogramRecord(tuple(bins.tolist()), tuple(histogram[bins].tolist()))
    if by_row is not None:
        by_row = RowsRecord(*(tuple(column.tolist()) for column in by_row))
    return TensorRecord(stats.low, stats.high, stats.count, stats.range, histogram, by_row)


def stats_of(record: TensorRecord, config: CalibrateConfig) -> TensorStats:
    """The statistics that were written down.

    Raises ValueError where they contradict themselves, or are not what the observer of `config` leaves.
    """
    low, high = record.low, record.high
    _require(_reals(low, high) and low <= high, f"extremes [{low}, {high}] are no ordered float32 numbers")
    stats = TensorStats(low, high, record.count, _histogram(record), _by_row(record), config)
    _require(stats.keeps == OBSERVER[config.observer].needs,
             f"it holds {', '.join(sorted(stats.keeps)) or 'extremes alone'}, which observer "
             f"{config.observer} does not leave")
    _require(low <= record.range[0] <= record.range[1] <= high, f"range {list(record.range)} is not within "
             f"its extremes [{low}, {high}]")
    return stats


def _histogram(record: TensorRecord) -> np.ndarray | None:
    if record.histogram is None:
        return None
    bins, counts = record.histogram.bins, record.histogram.counts
    _require(len(bins) == len(counts) > 0, f"{len(bins)} bins have {len(counts)} counts")
    _require(_ascending(bins), "its bins do not ascend")
    _require(sum(counts) == record.count, f"its bins hold {sum(counts)} values of {record.count}")
    histogram = np.zeros(BINS, np.int64)
    histogram[list(bins)] = counts
    ends = filled(histogram, -np.inf, np.inf)
    _require(ends.low[0] <= record.low <= ends.high[0] and ends.low[-1] <= record.high <= ends.high[-1],
             f"extremes [{record.low}, {record.high}] are not in its outermost bins")
    return histogram


def _by_row(record: TensorRecord) -> RowExtremes | None:
    if record.by_row is None:
        return None
    rows, low, high = record.by_row.rows, record.by_row.low, record.by_row.high
    _require(len(rows) == len(low) == len(high) > 0,
             f"{len(rows)} rows have {len(low)} lows and {len(high)} highs")
    _require(_ascending(rows), "its rows do not ascend")
    _require(_reals(*low, *high) and all(a <= b for a, b in zip(low, high)),
             "a row's extremes are no ordered float32 numbers")
    _require((min(low), max(high)) == (record.low, record.high),
             f"extremes [{record.low}, {record.high}] are not those of its rows")
    return RowExtremes(np.array(rows, np.int64), np.array(low, np.float32), np.array(high, np.float32))


def _reals(*values: float) -> bool:
    """Whether all are finite float32 numbers."""
    with np.errstate(over="ignore"):
        single = np.array(values).astype(np.float32)
    return bool(np.isfinite(single).all()) and single.tolist() == list(values)


def _ascending(values: tuple[int, ...]) -> bool:
    return all(a < b for a, b in zip(values, values[1:]))


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise ValueError(what)
