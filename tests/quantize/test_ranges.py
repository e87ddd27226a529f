"""Ranges against a sort, and against litert-quantizer's update written down independently."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
import numpy as np
import pytest

from tests.quantize.test_observers import observe

reals = st.floats(width=32, allow_nan=False, allow_infinity=False)
values = st.integers(1, 60).flatmap(lambda n: arrays(np.float32, (1, n), elements=reals))


@given(values)
def test_the_hundredth_percentile_is_min_and_max(x):
    assert observe("percentile", x, percentile=100).range == (x.min(), x.max())


@given(values, st.floats(50.5, 100))
def test_a_percentile_range_holds_at_least_its_share(x, percentile):
    low, high = observe("percentile", x, percentile=percentile).range
    assert x.min() <= low <= high <= x.max()
    assert np.mean((x >= low) & (x <= high)) >= percentile / 100 - 1e-9


@pytest.mark.parametrize("percentile", [99.99, 99.0, 90.0])
def test_percentiles_are_within_a_bin_of_numpys(percentile):
    x = np.random.default_rng(3).standard_t(3, (1, 200_000)).astype(np.float32)
    low, high = observe("percentile", x, percentile=percentile).range
    tail = (100 - percentile) / 2
    exact_low = np.percentile(x, tail, method="higher")
    exact_high = np.percentile(x, 100 - tail, method="lower")
    assert exact_low * (1 + 2**-7) <= low <= exact_low
    assert exact_high <= high <= exact_high * (1 + 2**-7)


def test_an_outlier_is_cut_off_and_the_zeros_of_a_relu_are_kept():
    x = np.maximum(np.random.default_rng(0).normal(size=(1, 100_000)), 0).astype(np.float32)
    x[0, 17] = 1000.0
    low, high = observe("percentile", x, percentile=99.99).range
    assert low == 0.0 and 3.5 < high < 4.5


@given(arrays(np.float32, st.tuples(st.integers(1, 9), st.just(3)), elements=st.floats(-1e6, 1e6, width=32)),
       st.floats(0, 0.99))
def test_the_moving_average_is_litert_quantizers(x, smoothing):
    """litert_quantizer/utils/qsv_utils.py: moving_average_update, called sample by sample, in closed form."""
    ages = np.arange(len(x))[::-1]
    weights = (1 - smoothing) * smoothing ** ages.astype(float)
    weights[0] = smoothing ** float(ages[0])
    low, high = observe("moving_average", x, smoothing=smoothing).range
    np.testing.assert_allclose([low, high], [weights @ x.min(axis=1), weights @ x.max(axis=1)],
                               rtol=1e-9, atol=1e-6)


def test_a_moving_average_forgets_and_an_outlier_moves_it_little():
    x = np.ones((50, 2), np.float32)
    x[0], x[20] = 7, 100
    assert observe("moving_average", x, smoothing=0.5).range == pytest.approx((1, 1), abs=1e-6)
    assert observe("moving_average", x[:21], smoothing=0.9).range[1] == pytest.approx(10.9 + 0.9**20 * 6)


def test_the_average_of_equal_extremes_is_that_extreme():
    x = np.full((50, 1), 0.7, np.float32)
    assert observe("moving_average", x, smoothing=0.9).range == (x.min(), x.max())
