"""The MSE observer against a search by brute force, which quantizes the real values themselves."""

import time

import numpy as np
import pytest

from tests.quantize.test_observers import observe
from toolchain.ir.quant import activation_params, dequantize, quantize
from toolchain.quantize.histogram import filled
from toolchain.quantize.ranges_mse import expected_error

COUNT = 20_000
rng = np.random.default_rng(11)
normal, skewed = rng.normal(size=COUNT), rng.normal(0, 3, COUNT)
VALUES = {
    "normal": normal,
    "relu": np.maximum(normal, 0),
    "relu6": np.clip(skewed * 2, 0, 6),
    "hard_swish": skewed * np.clip(skewed + 3, 0, 6) / 6,
    "heavy tails": rng.standard_t(3, COUNT),
    "one outlier": np.append(normal, 300.0),
    "two scales": np.append(rng.normal(0, 0.1, COUNT), rng.exponential(2, 300)),
    "non-positive": -rng.exponential(size=COUNT),
    "far from zero": rng.uniform(3, 4, COUNT),
}


def squared_error(x: np.ndarray, low: float, high: float) -> float:
    params = activation_params(low, high)
    return float(np.mean((dequantize(quantize(x, params), params).astype(np.float64) - x) ** 2))


def ends(extreme: float) -> np.ndarray:
    """0, or the extreme and 27 ends nearer to 0, 9 % apart."""
    return np.unique(extreme * 2.0 ** (-np.arange(28) / 8))


@pytest.mark.parametrize("name", VALUES)
def test_no_other_range_is_better_by_more_than_two_percent(name):
    x = VALUES[name].astype(np.float32)
    stats = observe("mse", x[None])
    tried = [(low, high) for low in ends(min(stats.low, 0)) for high in ends(max(stats.high, 0))]
    assert squared_error(x, *stats.range) <= 1.02 * min(squared_error(x, *pair) for pair in tried)
    assert squared_error(x, *stats.range) <= 1.001 * squared_error(x, stats.low, stats.high)


@pytest.mark.parametrize("name", VALUES)
def test_the_error_expected_of_the_counts_is_that_of_the_values(name):
    x = VALUES[name].astype(np.float32)
    stats = observe("mse", x[None])
    lows, highs = min(stats.low, 0) * np.array([1, 0.8, 0.3]), max(stats.high, 0) * np.array([1, 0.7, 0.4])
    expected = expected_error(filled(stats.histogram, stats.low, stats.high), lows, highs) / x.size
    exact = [squared_error(x, low, high) for low, high in zip(lows, highs)]
    np.testing.assert_allclose(expected, exact, rtol=0.02)


def test_ranges_that_clip_are_those_that_pay():
    """A uniform distribution is kept whole; 8-bit codes of a Gaussian end near 3.9."""
    uniform = rng.uniform(-1, 3, (1, 200_000)).astype(np.float32)
    assert observe("mse", uniform).range == (uniform.min(), uniform.max())
    low, high = observe("mse", rng.normal(size=(1, 200_000)).astype(np.float32)).range
    assert low == pytest.approx(-3.9, abs=0.25) and high == pytest.approx(3.9, abs=0.25)


@pytest.mark.parametrize("observer", ["percentile", "entropy", "mse"])
def test_a_range_takes_two_milliseconds(observer):
    histogram = observe(observer, VALUES["heavy tails"].astype(np.float32)[None])
    taken = []
    for _ in range(20):
        stats = histogram.seen_by(histogram.config)
        start = time.perf_counter()
        assert stats.range
        taken.append(time.perf_counter() - start)
    assert min(taken) < 0.002
