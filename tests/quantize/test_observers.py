"""Observers: what is kept of the parts is what is kept of the whole, and percentiles against a sort."""

from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from toolchain.quantize.observers import OBSERVER, TensorStats
from toolchain.recipe import CalibrateConfig

reals = st.floats(width=32, allow_nan=False, allow_infinity=False)
values = arrays(np.float32, st.integers(1, 60), elements=reals)


def config(observer: str, percentile: float = 99.9) -> CalibrateConfig:
    return CalibrateConfig(observer=observer, percentile=percentile)


def same(a: TensorStats, b: TensorStats) -> bool:
    """Bit for bit: 0.0 and -0.0 differ."""
    bits = [np.array([s.low, s.high], np.float64).tobytes() for s in (a, b)]
    histograms = [s.histogram if s.histogram is not None else np.zeros(0) for s in (a, b)]
    return bits[0] == bits[1] and (a.count, a.keep) == (b.count, b.keep) and np.array_equal(*histograms)


@pytest.mark.parametrize("observer", OBSERVER)
@given(parts=st.lists(values, min_size=1, max_size=5), order=st.randoms())
def test_any_split_in_any_order_gives_the_same_statistics(observer, parts, order):
    whole = OBSERVER[observer](np.concatenate(parts), config(observer))
    shuffled = order.sample(parts, len(parts))
    stats = [OBSERVER[observer](part, config(observer)) for part in shuffled]
    left = reduce(TensorStats.merge, stats)
    right = reduce(lambda a, b: b.merge(a), reversed(stats))
    assert same(left, whole) and same(right, whole)


@given(values)
def test_extremes_are_exact_and_minmax_keeps_them_all(x):
    stats = OBSERVER["minmax"](x, config("minmax"))
    assert stats.range == (x.min(), x.max()) and stats.count == x.size and stats.histogram is None


@given(values)
def test_the_hundredth_percentile_is_min_and_max(x):
    assert OBSERVER["percentile"](x, config("percentile", 100)).range == (x.min(), x.max())


@given(values, st.floats(50.5, 100))
def test_a_percentile_range_holds_at_least_its_share(x, percentile):
    low, high = OBSERVER["percentile"](x, config("percentile", percentile)).range
    assert x.min() <= low <= high <= x.max()
    assert np.mean((x >= low) & (x <= high)) >= percentile / 100 - 1e-9


@pytest.mark.parametrize("percentile", [99.99, 99.0, 90.0])
def test_percentiles_are_within_a_bin_of_those_of_a_sort(percentile):
    x = np.random.default_rng(3).standard_t(3, 200_000).astype(np.float32)
    low, high = OBSERVER["percentile"](x, config("percentile", percentile)).range
    cut = int(x.size * (100 - percentile) / 200)
    ordered = np.sort(x)
    exact_low, exact_high = ordered[cut], ordered[-1 - cut]
    assert exact_low * (1 + 2**-7) <= low <= exact_low
    assert exact_high <= high <= exact_high * (1 + 2**-7)


def test_an_outlier_is_cut_off_and_the_zeros_of_a_relu_are_kept():
    x = np.maximum(np.random.default_rng(0).normal(size=100_000), 0).astype(np.float32)
    x[17] = 1000.0
    low, high = OBSERVER["percentile"](x, config("percentile", 99.99)).range
    assert low == 0.0 and 3.5 < high < 4.5


def test_a_bin_counts_values_that_share_their_top_16_bits():
    x = np.array([1.0, 1.0 + 2**-8, 1.0 + 2**-7, -1.0, 0.0], np.float32)
    histogram = OBSERVER["percentile"](x, config("percentile")).histogram
    assert {f"{i:04x}": int(histogram[i]) for i in np.flatnonzero(histogram)} == {
        "0000": 1, "3f80": 2, "3f81": 1, "bf80": 1}


def test_a_histogram_takes_the_same_memory_for_any_number_of_values():
    few, many = (OBSERVER["percentile"](np.ones(n, np.float32), config("percentile")) for n in (1, 1_000_000))
    assert few.histogram.nbytes == many.merge(many).histogram.nbytes == 65_536 * 8
    assert many.merge(many).count == 2_000_000


def test_statistics_of_unlike_observers_do_not_mix():
    x = np.ones(3, np.float32)
    kinds = [OBSERVER["minmax"](x, config("minmax")), OBSERVER["percentile"](x, config("percentile", 99)),
             OBSERVER["percentile"](x, config("percentile", 98))]
    for other in kinds[1:]:
        with pytest.raises(ValueError, match="different observers"):
            kinds[0 if other is kinds[1] else 1].merge(other)


def test_every_observer_that_a_recipe_may_name_is_there():
    assert set(OBSERVER) == set(CalibrateConfig.__annotations__["observer"].__args__)
