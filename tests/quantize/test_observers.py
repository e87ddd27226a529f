"""Observers: what is kept of the parts is what is kept of the whole, whatever the parts and their order."""

from functools import reduce
import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from toolchain.quantize.observers import OBSERVER, Accumulator, TensorStats
from toolchain.recipe import CalibrateConfig

reals = st.floats(width=32, allow_nan=False, allow_infinity=False)
batches = st.integers(1, 4).flatmap(lambda n: arrays(np.float32, (n, 5), elements=reals))


def observe(observer: str, *parts: np.ndarray, rows: list | None = None, **changed) -> TensorStats:
    """Statistics of batches of samples, which are numbered as they come."""
    accumulator, done = Accumulator(CalibrateConfig(observer=observer, **changed)), 0
    for i, part in enumerate(parts):
        accumulator.add(part, np.arange(done, done + len(part)) if rows is None else rows[i])
        done += len(part)
    return accumulator.stats()


def content(stats: TensorStats) -> tuple:
    """All of it, bit for bit: 0.0 and -0.0 differ."""
    arrays = [] if stats.histogram is None else [stats.histogram]
    arrays += [] if stats.by_row is None else stats.by_row
    ends = np.array([stats.low, stats.high, *stats.range])
    return ends.tobytes(), stats.count, [(a.dtype, a.shape, a.tobytes()) for a in arrays], stats.config


@pytest.mark.parametrize("observer", OBSERVER)
@settings(max_examples=40)
@given(parts=st.lists(batches, min_size=1, max_size=5), order=st.randoms())
def test_any_split_in_any_order_gives_the_same_statistics(observer, parts, order):
    whole = np.concatenate(parts)
    starts = np.cumsum([0, *map(len, parts)])
    rows = [np.arange(start, start + len(part)) for start, part in zip(starts, parts)]
    shuffled = order.sample(range(len(parts)), len(parts))
    stats = [observe(observer, parts[i], rows=[rows[i]]) for i in shuffled]
    expected = content(observe(observer, whole))
    mixed = observe(observer, *(parts[i] for i in shuffled), rows=[rows[i] for i in shuffled])
    assert content(mixed) == expected
    assert content(reduce(TensorStats.merge, stats)) == expected
    assert content(reduce(lambda a, b: b.merge(a), reversed(stats))) == expected


@given(batches)
def test_extremes_are_exact_and_minmax_keeps_them_all(x):
    stats = observe("minmax", x)
    assert stats.range == (x.min(), x.max()) and stats.count == x.size and stats.histogram is None


@pytest.mark.parametrize("observer", OBSERVER)
@settings(max_examples=40)
@given(batches)
def test_a_range_is_ordered_and_within_the_extremes(observer, x):
    low, high = observe(observer, x).range
    assert type(low) is type(high) is float
    assert x.min() <= low <= high <= x.max()


@pytest.mark.parametrize("observer", OBSERVER)
def test_nan_shows_in_both_extremes_and_infinity_in_one(observer):
    x = np.ones((4, 50), np.float32)
    for bad, expected in ((np.nan, [np.nan, np.nan]), (np.inf, [1, np.inf]), (-np.inf, [-np.inf, 1])):
        spoilt = x.copy()
        spoilt[2, 37] = bad
        for parts in ([spoilt, x], [x, spoilt]):
            accumulator = Accumulator(CalibrateConfig(observer=observer))
            for part in parts:
                accumulator.add(part, np.arange(4))
            np.testing.assert_array_equal([accumulator.low, accumulator.high], expected)
            np.testing.assert_array_equal([accumulator.stats().low, accumulator.stats().high], expected)


@pytest.mark.parametrize("observer", OBSERVER)
def test_an_array_that_is_overwritten_afterwards_was_seen_as_it_was(observer):
    x, rows = np.arange(8, dtype=np.float32).reshape(2, 4), np.arange(2)
    accumulator = Accumulator(CalibrateConfig(observer=observer))
    accumulator.add(x, rows)
    expected = content(accumulator.stats())
    x[:], rows[:] = 100, 7
    assert content(accumulator.stats()) == expected


def test_any_layout_and_type_of_reals_is_seen_as_float32():
    x = np.random.default_rng(0).normal(size=(3, 4, 5))
    expected = content(observe("percentile", x.astype(np.float32)))
    assert content(observe("percentile", x)) == expected
    assert content(observe("percentile", np.asfortranarray(x.astype(np.float32)))) == expected


def test_parts_of_a_sample_that_come_as_rows_are_told_apart_by_sample():
    x = np.arange(12, dtype=np.float32).reshape(6, 2)
    accumulator = Accumulator(CalibrateConfig(observer="moving_average"))
    accumulator.add(x, np.array([40, 41]))
    by_row = accumulator.stats().by_row
    assert (by_row.rows.tolist(), by_row.low.tolist(), by_row.high.tolist()) == ([40, 41], [0, 6], [5, 11])


def test_a_bin_counts_values_that_share_their_top_16_bits():
    x = np.array([[1.0, 1.0 + 2**-8, 1.0 + 2**-7, -1.0, 0.0]], np.float32)
    histogram = observe("percentile", x).histogram
    assert {f"{i:04x}": int(histogram[i]) for i in np.flatnonzero(histogram)} == {
        "0000": 1, "3f80": 2, "3f81": 1, "bf80": 1}


def test_a_histogram_takes_the_same_memory_for_any_number_of_values():
    few, many = (observe("percentile", np.ones((1, n), np.float32)) for n in (1, 1_000_000))
    assert few.histogram.nbytes == many.merge(many).histogram.nbytes == 65_536 * 8
    assert many.merge(many).count == 2_000_000


def test_statistics_of_unlike_observers_do_not_mix():
    x = np.ones((3, 1), np.float32)
    kinds = [observe("minmax", x), observe("moving_average", x), observe("moving_average", x, smoothing=0.5),
             observe("percentile", x, percentile=99), observe("percentile", x, percentile=98)]
    for i, stats in enumerate(kinds):
        for other in kinds[:i]:
            with pytest.raises(ValueError, match="different observers"):
                stats.merge(other)


def test_settings_that_the_observer_does_not_read_do_not_keep_statistics_apart():
    x = np.ones((3, 1), np.float32)
    assert observe("minmax", x, percentile=99).merge(observe("minmax", x, samples=7)).count == 6


def test_the_same_statistics_are_seen_by_another_observer_where_they_hold_what_it_needs():
    x = np.random.default_rng(0).normal(size=(4, 500)).astype(np.float32)
    stats = observe("percentile", x, percentile=90)
    assert stats.seen_by(CalibrateConfig(observer="minmax")).range == (x.min(), x.max())
    other = CalibrateConfig(observer="percentile", percentile=99)
    assert stats.seen_by(other).range == observe("percentile", x, percentile=99).range != stats.range
    with pytest.raises(ValueError, match="^observer moving_average needs the extremes of each sample, which "
                                         "observer percentile does not keep; calibrate with moving_average$"):
        stats.seen_by(CalibrateConfig(observer="moving_average"))


def test_nothing_observed_has_no_statistics():
    with pytest.raises(ValueError, match="nothing was observed"):
        Accumulator(CalibrateConfig()).stats()


def test_every_observer_that_a_recipe_may_name_is_there():
    assert set(OBSERVER) == set(CalibrateConfig.__annotations__["observer"].__args__)


def test_the_extremes_of_each_sample_take_what_they_hold():
    """16 bytes a row, and those of a few batches."""
    accumulator, batch = Accumulator(CalibrateConfig(observer="moving_average")), np.ones((1, 8), np.float32)
    tracemalloc.start()
    for row in range(2000):
        accumulator.add(batch, np.array([row]))
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert taken < 2000 * 16 + 64 * 1000
    assert accumulator.stats().by_row.rows.tolist() == list(range(2000))
