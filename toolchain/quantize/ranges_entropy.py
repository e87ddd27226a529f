"""The range whose codes lose the least information about the distribution of the values.

Migacz 2017, "8-bit inference with TensorRT" (GTC s7310): of all thresholds, the one whose quantized
distribution Q has the least Kullback-Leibler divergence from P, the distribution with what lies beyond put on
its ends. Levels are spread evenly over the window, as in NVIDIA's pytorch-quantization (calib/histogram.py);
onnxruntime's HistogramCollector.get_entropy_threshold leaves the bins that its division leaves over out of Q.
"""

import numpy as np

from toolchain.quantize.histogram import Filled

Range = tuple[float, float]
HALF = 2048
"""Linear bins between 0 and the extreme that is further from it (Migacz 2017)."""
LEVELS = 256
"""Codes for a window; the narrowest has a linear bin for each."""
STRIDE = 16
"""Linear bins by which windows grow: as wide as the widest bin of the counts."""
ABSENT = 1e-4
"""Stands for the count of a level that is empty in Q but not in P (onnxruntime's smooth_distribution)."""


def entropy_range(bins: Filled, low: float, high: float) -> Range:
    """[max(-T, low), min(T, high)] of the least divergence over thresholds T.

    A window ends at the extremes, so that a tensor on one side of 0 spends no code on the other. Exact zeros
    are left out (as pytorch-quantization does): every range holds them exactly.
    """
    furthest = max(-low, high)
    if not furthest > 0:
        return low, high
    sizes = np.arange(LEVELS // 2, HALF + 1, STRIDE)
    starts = np.maximum(HALF - sizes, int(np.floor(HALF * (1 + min(low, 0) / furthest))))
    stops = np.minimum(HALF + sizes, int(np.ceil(HALF * (1 + max(high, 0) / furthest))))
    enough = stops - starts >= LEVELS
    divergences = divergence(linear_counts(bins, furthest), starts[enough], stops[enough])
    if not np.isfinite(divergences).any():
        return low, high
    threshold = float(sizes[enough][np.argmin(divergences)] / HALF) * furthest
    return min(max(-threshold, low), high), max(min(threshold, high), low)


def linear_counts(bins: Filled, furthest: float) -> np.ndarray:
    """Counts in 2 * HALF linear bins over [-furthest, furthest], float64: each bin's values spread evenly."""
    real = (bins.low > 0) | (bins.high < 0)
    ends = np.stack([bins.low[real], bins.high[real]], axis=1).ravel()
    if not ends.size:
        return np.zeros(2 * HALF)
    upto = np.cumsum(bins.count[real])
    at_ends = np.stack([upto - bins.count[real], upto], axis=1).ravel()
    at_edges = np.interp(np.linspace(-furthest, furthest, 2 * HALF + 1), ends, at_ends)
    at_edges[[0, -1]] = 0, upto[-1]
    return np.diff(at_edges)


def divergence(counts: np.ndarray, starts: np.ndarray, stops: np.ndarray) -> np.ndarray:
    """Kullback-Leibler divergence of Q from P for each window [start, stop) of the counts, in nats.

    Infinite where a window holds none of them.

    P: the counts in the window, those outside added to its first and last bin
    Q: the counts in the window, each of LEVELS levels spread evenly over those of its bins that P fills
    With sums up to each bin it takes LEVELS steps a window: sum(p log p) - sum(p log q), normalised.
    """
    filled = counts > 0
    upto, filled_upto, log_upto = (np.append(0, np.cumsum(x)) for x in (counts, filled, _times_log(counts)))
    cuts = starts[:, None] + (stops - starts)[:, None] * np.arange(LEVELS + 1) // LEVELS
    inside = np.diff(upto[cuts])
    sharing = np.diff(filled_upto[cuts]).astype(np.float64)
    own = log_upto[stops] - log_upto[starts]
    beyond = upto[starts], upto[-1] - upto[stops]
    for outside, edge, level in zip(beyond, (starts, stops - 1), (0, -1)):
        own += _times_log(counts[edge] + outside) - _times_log(counts[edge])
        sharing[:, level] += ~filled[edge] & (outside > 0)
    log_share = np.log(np.where(inside > 0, inside, ABSENT) / np.maximum(sharing, 1))
    shared = (inside * log_share).sum(axis=1) + beyond[0] * log_share[:, 0] + beyond[1] * log_share[:, -1]
    kept = inside.sum(axis=1) / max(upto[-1], ABSENT)
    apart = (own - shared) / max(upto[-1], ABSENT) + np.log(np.where(kept > 0, kept, 1))
    return np.where(kept > 0, apart, np.inf)


def _times_log(x: np.ndarray) -> np.ndarray:
    """x log x, 0 at 0."""
    return x * np.log(np.where(x > 0, x, 1))
