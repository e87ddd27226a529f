"""Whether two lists of numbers are in the same order: a criterion's scores, and what was measured."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Agreement:
    """Rank correlations, -1 to 1; NaN where all scores are the same, or all that was measured.

    spearman, kendall: over the channels of all groups
    groups:            of each group alone (Spearman's, Kendall's)
    """

    spearman: float
    kendall: float
    groups: tuple[tuple[float, float], ...]

    @property
    def within(self) -> tuple[float, float]:
        """Mean over the groups that have one (Spearman's, Kendall's); NaN where none has."""
        found = np.array([pair for pair in self.groups if not np.isnan(pair).any()] or [(np.nan, np.nan)])
        return float(found[:, 0].mean()), float(found[:, 1].mean())


def agreement(scores: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> Agreement:
    """Of scores with the truth, as `importance` gives both: per group (channels,)."""
    groups = tuple((spearman(a, b), kendall(a, b)) for a, b in zip(scores, truth, strict=True))
    pooled = np.concatenate(scores), np.concatenate(truth)
    return Agreement(spearman(*pooled), kendall(*pooled), groups)


def spearman(a: np.ndarray, b: np.ndarray) -> float:
    """Correlation of the ranks, ties at their mean rank (Spearman 1904). a, b: (n,)."""
    return _correlation(_ranks(a), _ranks(b))


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """tau-b: (pairs in the same order - pairs in opposite order) / root of the product of how many pairs are
    not tied in a, and in b (Kendall 1945). a, b: (n,); takes n^2 steps."""
    same = apart_a = apart_b = 0
    for row in range(len(a)):
        signs_a, signs_b = np.sign(a - a[row]), np.sign(b - b[row])
        same += signs_a @ signs_b
        apart_a += np.count_nonzero(signs_a)
        apart_b += np.count_nonzero(signs_b)
    return float(same / np.sqrt(apart_a * apart_b)) if apart_a and apart_b else float("nan")


def _ranks(values: np.ndarray) -> np.ndarray:
    """From 1; equal values share the mean of theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's; NaN where either does not vary."""
    a, b = a - a.mean(), b - b.mean()
    scale = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / scale) if scale else float("nan")
