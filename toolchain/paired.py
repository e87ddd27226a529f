"""Two models on the same samples: is one better, and how far is one from the other.

All of it is per sample and paired: what makes a sample hard for one model makes it hard for the other, so
that differences are told from far fewer samples than two independent standard errors would need.
"""

from math import comb
from typing import NamedTuple

import numpy as np

from toolchain.errors import BadSamples

EXACT_DB = 20 * np.log10(2.0**24)
"""144.5 dB: float32's own rounding, beyond which nothing is told apart."""
ALPHA = 0.05


class McNemar(NamedTuple):
    """only_first, only_second: samples that just one of the two has right;  p: that chance does as much"""

    only_first: int
    only_second: int
    p: float


def mcnemar(first: np.ndarray, second: np.ndarray) -> McNemar:
    """The exact two-sided test on hits (N,) of two models (McNemar 1947; binomial form, no approximation).

    p = min(1, 2 P[X <= min(only_first, only_second)]) with X ~ Binomial(only_first + only_second, 1/2);
    1 where they are right on the same samples. Raises BadSamples where lengths differ.
    """
    first, second = _pairs(np.asarray(first, bool), np.asarray(second, bool))
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    count = only_first + only_second
    tail = sum(comb(count, k) for k in range(min(only_first, only_second) + 1))
    return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**count))


def significantly_worse(first: np.ndarray, second: np.ndarray, alpha: float = ALPHA) -> bool:
    """Whether `first` hits (N,) less often than `second`, by more than chance at level `alpha` explains."""
    found = mcnemar(first, second)
    return found.only_first < found.only_second and found.p < alpha


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap(differences: np.ndarray, confidence: float = 1 - ALPHA, resamples: int = 10_000,
              seed: int = 0) -> Interval:
    """Percentile interval of the mean of paired differences (N,) (Efron and Tibshirani 1993, section 13.3).

    The same seed gives the same ends. Raises BadSamples where there are none.
    """
    values = np.asarray(differences, np.float64)
    if values.ndim != 1 or not len(values):
        raise BadSamples(f"a bootstrap resamples a list of differences, got shape {values.shape}")
    random = np.random.default_rng(seed)
    means = np.array([values[random.integers(0, len(values), len(values))].mean() for _ in range(resamples)])
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def sqnr_db(exact: np.ndarray, found: np.ndarray) -> np.ndarray:
    """(N,) signal to quantization noise of each sample: 10 log10(sum exact^2 / sum (exact - found)^2), in dB.

    exact, found: (N, ...), such as logits. At most EXACT_DB, which equal samples have; 0 dB where a sample is
    all zeros and `found` is not. Raises BadSamples where shapes differ.
    """
    exact, found = _pairs(np.asarray(exact, np.float64), np.asarray(found, np.float64))
    signal, noise = (np.square(x).reshape(len(x), -1).sum(axis=1) for x in (exact, exact - found))
    ratio = np.full(len(exact), 10 ** (EXACT_DB / 10))
    np.divide(np.where(signal > 0, signal, noise), noise, out=ratio, where=noise > 0)
    return np.minimum(10 * np.log10(ratio), EXACT_DB)


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if first.shape != second.shape or not len(first):
        raise BadSamples(f"pairs are of the same samples: got shapes {first.shape} and {second.shape}")
    return first, second
