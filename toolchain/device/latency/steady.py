"""Where a series of single-inference times reaches its steady state, and whether it does.

MSER-5 (White 1997; White, Cobb & Spratt 2000) leaves out the samples without which the mean of the rest is
known best; here on medians of five, clipped, so that a spike does not move the cut. What is kept is then
tested for a trend (Mann 1945; Kendall 1975), its size told by the slope of Theil (1950) and Sen (1968), and
for a step late in the series (Wilcoxon 1945).
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np

BATCH = 5
SPIKE = 5.0
"""Beyond so many standard deviations (as the median absolute deviation tells them) a median of five is
clipped."""
NEARLY = 1.01
"""The first cut within 1 % of the best: on a series that is steady at once, the best is anywhere."""
BLOCKS, FEWEST_BLOCKS = 20, 8
FEWEST_LATE = 3
MOST_DRIFT = 0.03
SIGNIFICANT = 2.58
"""Normal deviate, two-sided alpha of 0.01."""


@dataclass(frozen=True)
class Steady:
    """start:   index of the first sample of the steady state
    drift:   of what is kept, from its beginning to its end, relative: 0.1 is 10 % slower
    reached: False where it still drifts or steps at the end
    """

    start: int
    drift: float
    reached: bool


def steady_state(samples: np.ndarray) -> Steady:
    """The series without its warm-up.

    samples: (n,), n >= 1, times in order, the first inference included; it is never in the steady state
             unless it is the only one. Of fewer than 8 samples kept, no trend can be told.
    """
    start = max(warm_up(samples), _slow_start(samples))
    medians = block_medians(samples[start:], BLOCKS)
    if len(medians) < FEWEST_BLOCKS:
        return Steady(start, 0.0, True)
    moves = ((theil_sen(medians) * (len(medians) - 1) / float(np.median(medians)), mann_kendall(medians)),
             late_step(medians))
    found = [drift for drift, deviate in moves if abs(drift) > MOST_DRIFT and abs(deviate) > SIGNIFICANT]
    return Steady(start, max(found, key=abs, default=moves[0][0]), not found)


def warm_up(samples: np.ndarray) -> int:
    """How many samples to leave out: at most half (White 1997: a cut beyond that says nothing)."""
    batches = len(samples) // BATCH
    if batches < 4:
        return 0
    medians = _clipped(np.median(samples[:batches * BATCH].reshape(batches, BATCH), axis=1))
    backwards = medians[::-1] - medians[batches // 2:].mean()
    counts = np.arange(1, batches + 1)
    sums, squares = np.cumsum(backwards), np.cumsum(backwards**2)
    errors = ((squares - sums**2 / counts) / counts**2)[::-1][:batches // 2 + 1]
    return BATCH * int(np.argmax(errors <= NEARLY * errors.min()))


def _slow_start(samples: np.ndarray) -> int:
    """The first, which is cold, and those that follow it as far beyond the later half as a spike is: a median
    of five does not see them."""
    centre, spread = _later(samples)
    half = len(samples) // 2
    slow = samples[1:half] > centre + spread
    return min(1, half) + (int(np.argmin(slow)) if not slow.all() else len(slow))


def _clipped(medians: np.ndarray) -> np.ndarray:
    """Without what is far from the later half, which a warm-up has left behind."""
    centre, spread = _later(medians)
    return np.clip(medians, centre - spread, centre + spread) if spread else medians


def _later(values: np.ndarray) -> tuple[float, float]:
    """The later half's median, and how far from it a spike begins."""
    later = values[len(values) // 2:]
    centre = float(np.median(later))
    return centre, SPIKE * 1.4826 * float(np.median(np.abs(later - centre)))


def block_medians(samples: np.ndarray, blocks: int) -> np.ndarray:
    """Medians of so many equal stretches, or of every sample alone where there are fewer."""
    return np.array([np.median(part) for part in np.array_split(samples, min(blocks, len(samples)))])


def mann_kendall(values: np.ndarray) -> float:
    """The trend's normal deviate; > 0 where values grow. Ties are allowed for (Kendall 1975)."""
    n = len(values)
    s = float(np.sign(values[None, :] - values[:, None])[np.triu_indices(n, 1)].sum())
    ties = np.unique(values, return_counts=True)[1]
    variance = (n * (n - 1) * (2 * n + 5) - np.sum(ties * (ties - 1) * (2 * ties + 5))) / 18
    return (s - np.sign(s)) / sqrt(variance) if variance > 0 else 0.0


def theil_sen(values: np.ndarray) -> float:
    """The median of all slopes between two values, per step."""
    rows, columns = np.triu_indices(len(values), 1)
    return float(np.median((values[columns] - values[rows]) / (columns - rows)))


def late_step(values: np.ndarray) -> tuple[float, float]:
    """The last few, up to a quarter, against what is before: relative difference of medians, and the normal
    deviate of the rank sum (Wilcoxon 1945; Mann & Whitney 1947), where that is largest."""
    quarter = len(values) // 4
    steps = [_step(values[:-late], values[-late:]) for late in range(min(FEWEST_LATE, quarter), quarter + 1)]
    return max(steps, key=lambda step: abs(step[1]))


def _step(before: np.ndarray, after: np.ndarray) -> tuple[float, float]:
    above = float(np.sign(after[:, None] - before[None, :]).sum()) / 2
    deviate = above / sqrt(len(before) * len(after) * (len(before) + len(after) + 1) / 12)
    return float(np.median(after) / np.median(before)) - 1, deviate
