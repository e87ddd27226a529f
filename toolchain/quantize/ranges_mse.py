"""The range of least expected squared error of 8-bit codes, searched on the counts of a histogram.

Clipping error is weighed against rounding error, as in Banner et al. 2019, "Post training 4-bit quantization
of convolutional networks for rapid-deployment", section 3; but on the counts, not on an assumed distribution.
"""

import numpy as np

from toolchain.quantize.histogram import Filled

Range = tuple[float, float]
STEPS = 255
"""Between the lowest and the highest of 8-bit codes."""
COARSE = 2.0 ** (-np.arange(49) / 4)
"""Ends tried at first, as shares of the extremes: down to 1 / 4096."""
FINE = 2.0 ** (np.arange(-3, 4) / 16)
"""Ends tried around the best of those, as shares of it."""


def mse_range(bins: Filled, low: float, high: float) -> Range:
    """Ends within [low, high] that minimise the mean squared error of asymmetric codes which hold 0 exactly.

    For every pair of coarse ends the error is estimated in closed form; around the best pair, and for the
    extremes, it is computed.
    """
    widest = min(low, 0.0), max(high, 0.0)
    if widest[0] == widest[1]:
        return low, high
    lows, highs = (np.unique(end * COARSE) for end in widest)
    estimate = estimated_error(bins, lows, highs)
    row, column = np.unravel_index(np.argmin(estimate), estimate.shape)
    near = np.meshgrid(np.unique(np.maximum(lows[row] * FINE, widest[0])),
                       np.unique(np.minimum(highs[column] * FINE, widest[1])))
    lows, highs = (np.append(ends, end) for ends, end in zip(near, widest))
    half_step = np.min(highs - lows) / STEPS / 2
    best = np.argmin(expected_error(_beyond(bins, half_step), lows, highs))
    return max(float(lows[best]), low), min(float(highs[best]), high)


def estimated_error(bins: Filled, lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Sum of squared errors for each pair of ends, float64 (lows, highs).

    Of what lies beyond an end its distance, from sums of count, x and x^2 towards the extreme; of the rest
    step^2 / 12, but x^2 below half a step, where codes are 0.
    """
    x, count = (bins.low + bins.high) / 2, bins.count.astype(np.float64)
    steps = (highs - lows[:, None]) / STEPS
    order = np.argsort(np.abs(x))
    size, counts = np.abs(x)[order], np.append(0, np.cumsum(count[order]))
    squares = np.append(0, np.cumsum(count[order] * size**2))
    small = np.searchsorted(size, steps / 2)
    inside = squares[small] + (counts[-1] - counts[small]) * steps**2 / 12
    return _clipped(-x[::-1], count[::-1], -lows)[:, None] + _clipped(x, count, highs) + inside


def _clipped(x: np.ndarray, count: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Sum of (x - end)^2 over x > end, for each end; x ascends."""
    sums = [np.append(np.cumsum((count * x**power)[::-1])[::-1], 0) for power in range(3)]
    zeroth, first, second = (column[np.searchsorted(x, ends, "right")] for column in sums)
    return second - 2 * ends * first + ends**2 * zeroth


def _beyond(bins: Filled, size: float) -> Filled:
    """The bins of larger values than `size`; smaller ones become code 0 at any step of 2 * size and more."""
    larger = np.maximum(-bins.low, bins.high) > size
    return Filled(bins.low[larger], bins.high[larger], bins.count[larger])


def expected_error(bins: Filled, lows: np.ndarray, highs: np.ndarray) -> np.ndarray:
    """Sum of squared errors of codes from `lows` to `highs`, (n,) each; values are uniform within a bin.

    In steps, t = x / step with code q (less the zero point), the integral of (t - q)^2 up to t is
    q / 12 + (t - q)^3 / 3, within the codes and beyond.
    """
    steps = (highs - lows)[:, None] / STEPS
    lowest = np.rint(lows[:, None] / steps)
    wide = bins.high > bins.low
    edges, weights = _densities(bins.low[wide], bins.high[wide], bins.count[wide])
    codes, rest = _codes(edges, steps, lowest)
    error = (codes / 12 + rest**2 * rest / 3) @ weights * steps[:, 0]
    error += _codes(bins.low[~wide], steps, lowest)[1] ** 2 @ bins.count[~wide]
    return error * steps[:, 0] ** 2


def _codes(x: np.ndarray, steps: np.ndarray, lowest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Codes less the zero point for each step, and what rounding and clipping leave, in steps."""
    rest = x / steps
    codes = np.rint(rest)
    np.clip(codes, lowest, lowest + STEPS, out=codes)
    rest -= codes
    return codes, rest


def _densities(low: np.ndarray, high: np.ndarray, count: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ends of the bins, and weights such that integral(ends) @ weights is the sum over their values.

    A bin adds count / width times the integral up to its high end, less that up to its low end.
    """
    density = count / (high - low)
    ends, weights = np.stack([low, high], axis=1).ravel(), np.stack([-density, density], axis=1).ravel()
    first = np.flatnonzero(np.append(True, np.diff(ends) > 0)[:ends.size])
    return ends[first], np.add.reduceat(weights, first) if ends.size else weights
