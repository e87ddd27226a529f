"""Intervals of quantiles cover what they say, on independent and on autocorrelated samples."""

from statistics import NormalDist

import numpy as np
import pytest

from tests.device.latency.series import autocorrelated
from toolchain.device.latency.bootstrap import block_length, quantile_interval


def coverage(n: int, phi: float, share: float, series: int, seed: int, skew: bool = False) -> float:
    """How often an interval that was given holds the quantile of the distribution."""
    rng, truth = np.random.default_rng(seed), NormalDist().inv_cdf(share)
    truth = np.exp(truth) if skew else truth
    held = []
    for _ in range(series):
        samples = autocorrelated(rng, n, phi)
        low, high = quantile_interval(np.exp(samples) if skew else samples, share)
        if (low, high) != (None, None):
            held.append((low is None or low <= truth) and (high is None or truth <= high))
    assert len(held) > series / 2, "too few intervals were given"
    return float(np.mean(held))


@pytest.mark.parametrize("phi, skew", [(0.0, True), (0.5, False), (0.8, True)])
def test_the_median_is_covered(phi, skew):
    assert 0.91 <= coverage(500, phi, 0.5, 400, seed=1, skew=skew) <= 0.99


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("phi", [0.0, 0.5, 0.8, 0.9])
@pytest.mark.parametrize("n", [300, 1000, 4000])
def test_95_percent_are_92_to_98(n, phi, share):
    """Ends beyond the samples (p99 of 300) hold whatever lies there: more than 98 % is no fault of theirs."""
    most = 1.0 if share == 0.99 else 0.985
    assert 0.915 <= coverage(n, phi, share, 1500, seed=n, skew=True) <= most


def test_blocks_are_as_long_as_the_memory():
    rng = np.random.default_rng(3)
    lengths = [np.median([block_length(autocorrelated(rng, 2000, phi)) for _ in range(20)])
               for phi in (0.0, 0.5, 0.9)]
    assert lengths[0] <= 3 and 8 <= lengths[1] <= 20 and 35 <= lengths[2] <= 90


def test_the_length_for_known_correlations_is_politis_and_whites():
    """Of AR(1), by its own sums of R(k) = phi^|k|: (2 g^2 / (4 / 3 s^2))^(1/3) n^(1/3)."""
    phi, n = 0.5, 200_000
    spectrum, slope = (1 + phi) / (1 - phi), 2 * phi / (1 - phi) ** 2
    expected = (2 * slope**2 / (4 / 3 * spectrum**2)) ** (1 / 3) * n ** (1 / 3)
    assert block_length(autocorrelated(np.random.default_rng(0), n, phi)) == pytest.approx(expected, rel=0.1)


def test_correlation_widens_the_interval():
    rng = np.random.default_rng(5)
    loose = np.diff(quantile_interval(autocorrelated(rng, 2000, 0.9), 0.5))[0]
    tight = np.diff(quantile_interval(autocorrelated(rng, 2000, 0.0), 0.5))[0]
    assert loose > 2.5 * tight


def test_no_interval_without_enough_independent_pieces():
    assert quantile_interval(np.arange(9.0), 0.5) == (None, None)
    assert quantile_interval(np.arange(100.0), 0.5) == (None, None)
    low, high = quantile_interval(np.random.default_rng(0).standard_normal(100), 0.99)
    assert low is not None and high is None


@pytest.mark.parametrize("constant", [0.0, 1.0, 1234.567])
def test_constant_samples(constant):
    assert quantile_interval(np.full(100, constant), 0.5) == (constant, constant)


def test_a_hundred_thousand_samples_take_no_time():
    samples = autocorrelated(np.random.default_rng(0), 100_000, 0.5)
    low, high = quantile_interval(samples, 0.5)
    assert 0 < high - low < 0.05 and quantile_interval(samples, 0.5) == (low, high)
