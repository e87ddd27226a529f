"""Seeded series of times whose truth is known."""

from itertools import accumulate

import numpy as np

BURN_IN = 200


def autocorrelated(rng: np.random.Generator, n: int, phi: float) -> np.ndarray:
    """AR(1) of unit variance, in its steady state."""
    shocks = rng.standard_normal(n + BURN_IN) * np.sqrt(1 - phi**2)
    return np.array(list(accumulate(shocks, lambda before, shock: phi * before + shock)))[BURN_IN:]


def times_us(rng: np.random.Generator, n: int, phi: float = 0.5, spread: float = 0.02,
             spikes: float = 0.01) -> np.ndarray:
    """Lognormal about 100 us, one in a hundred interrupted for 2 to 20 times as long."""
    times = 100 * np.exp(spread * autocorrelated(rng, n, phi))
    hit = rng.random(n) < spikes
    times[hit] *= rng.uniform(2, 20, hit.sum())
    return times
