"""Confidence intervals of quantiles of autocorrelated samples, by the circular block bootstrap.

Resampled means of blocks have a variance in closed form (Künsch 1989, theorem 3.1; blocks that wrap round,
Politis & Romano 1992), which is what infinitely many replicates come to: nothing is drawn, the same samples
give the same interval.
"""

from math import ceil, floor, log10, sqrt

import numpy as np

from toolchain.device.latency.student import quantile as student

LEVEL = 0.95
FEWEST_BLOCKS = 5
"""With fewer independent pieces there is no interval: simulated, it would cover less than it says."""
LONGER = 2.0
"""Blocks against Politis & White's, whose length is for the least mean squared error of the variance; an
interval wants longer ones (Hall, Horowitz & Jing 1995, section 3), the price of which is in Student's t."""


def block_length(samples: np.ndarray) -> float:
    """For the circular bootstrap of the mean (Politis & White 2004, with Patton, Politis & White's correction
    of 2009); 1 where neighbours are uncorrelated.

    samples: (n,), n >= 10
    """
    n = len(samples)
    window, correlated = _bandwidth(samples)
    if not window:
        return 1.0
    lags = np.abs(np.arange(-window, window + 1))
    flat_top = np.clip(2 * (1 - lags / window), 0, 1)
    spectrum = np.sum(flat_top * correlated[lags])
    slope = np.sum(flat_top * lags * correlated[lags])
    if spectrum <= 0:
        return 1.0
    best = (2 * slope**2 / (4 / 3 * spectrum**2)) ** (1 / 3) * n ** (1 / 3)
    return float(np.clip(best, 1, ceil(min(3 * sqrt(n), n / 3))))


def _bandwidth(samples: np.ndarray) -> tuple[int, np.ndarray]:
    """M = 2m, where m is the last lag before a run of negligible correlations (Politis & White 2004, section
    3.2), and the autocovariances up to it and beyond. 0 for constant samples."""
    n = len(samples)
    run = max(5, int(sqrt(log10(n))))
    most = min(ceil(sqrt(n)) + run, n - 1)
    spectrum = np.fft.rfft(samples - samples.mean(), 2 * n)
    covariance = np.fft.irfft(np.abs(spectrum) ** 2)[:most + 1] / n
    if covariance[0] <= 1e-12 * max(1.0, float(np.mean(samples)) ** 2):
        return 0, covariance
    small = np.abs(covariance[1:] / covariance[0]) < 2 * sqrt(log10(n) / n)
    runs = np.lib.stride_tricks.sliding_window_view(small, min(run, len(small))).all(axis=1)
    significant = np.flatnonzero(~small)
    lag = int(np.argmax(runs)) if runs.any() else int(significant[-1]) + 1
    return min(2 * max(lag, 1), most), covariance


def quantile_interval(samples: np.ndarray, share: float) -> tuple[float | None, float | None]:
    """Ends of the 95 % interval of a quantile: those order statistics between which the distribution function
    passes `share` (Woodruff 1952), its standard error by blocks.

    samples: (n,), a stationary series;  share: 0.5 for the median
    An end is None where it lies beyond the samples, both where there are too few for an interval.
    """
    n = len(samples)
    if n < 2 * FEWEST_BLOCKS:
        return None, None
    below = (samples <= np.quantile(samples, share, method="inverted_cdf")).astype(float)
    length = _whole_length(samples, below)
    if n // length < FEWEST_BLOCKS:
        return None, None
    reach = student(LEVEL, n // length - 1) * _standard_error(below, length)
    ordered = np.sort(samples)
    low, high = floor((share - reach) * n) - 1, ceil((share + reach) * n)
    return float(ordered[low]) if low >= 0 else None, float(ordered[high]) if high < n else None


def _whole_length(samples: np.ndarray, below: np.ndarray) -> int:
    """Of blocks as long as the series itself (without its spikes) and its passing of the quantile ask for."""
    without_spikes = np.clip(samples, *np.quantile(samples, (0.025, 0.975)))
    length = max(block_length(below), block_length(without_spikes))
    return 1 if length < 1.5 else round(LONGER * length)


def _standard_error(values: np.ndarray, length: int) -> float:
    """Of the mean: that of means of `length` neighbours, over as many blocks as there are."""
    n = len(values)
    ends = np.cumsum(np.concatenate(([0.0], values, values[:length])))
    means = (ends[length:length + n] - ends[:n]) / length
    return float(sqrt(means.var() * length / (n - length)))
