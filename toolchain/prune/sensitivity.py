"""By how much the loss rises as more and more channels of one group go, the rest of the network untouched.

Li et al. 2017, "Pruning Filters for Efficient ConvNets", section 3.3, with the loss in place of accuracy.
"""

from collections.abc import Sequence

import numpy as np

from toolchain.ir.graph import Graph
from toolchain.prune.evidence import Evidence
from toolchain.prune.groups import Group

SHARES = tuple(eighths / 8 for eighths in range(1, 8))
"""Of a group's channels, at which the loss is measured."""
TIE = 1e-9
"""Of the largest increment: what keeps channels of equal increments in the order of their scores."""


def sensitivity(graph: Graph, groups: Sequence[Group], scores: Sequence[np.ndarray], evidence: Evidence,
                shares: Sequence[float] = SHARES) -> list[np.ndarray]:
    """Per group (len(shares),): the mean loss without so large a share of its channels, less that of the
    whole network.

    scores: per group (channels,); the least go first
    """
    if not groups:
        return []
    from toolchain.prune.perturbation import increases  # brings torch
    return increases(graph, groups, [_scales(score, shares) for score in scores], evidence)


def increments(scores: Sequence[np.ndarray], curves: Sequence[np.ndarray],
               shares: Sequence[float] = SHARES) -> list[np.ndarray]:
    """Per group (channels,): scores in units of the loss, in the same order; the sum over the channels that
    go is what the curve says at their number.

    curves: of `sensitivity`. They are taken at the greatest convex function below them that never falls, so
            that no channel seems to cost less than one that goes before it; past the last share they go on as
            they come.
    """
    return [_increments(score, _removed(len(score), shares), curve) for score, curve in zip(scores, curves)]


def _removed(channels: int, shares: Sequence[float]) -> np.ndarray:
    """How many channels go at each share; at least one stays."""
    return np.minimum(np.floor(np.array(shares) * channels + 0.5).astype(np.int64), channels - 1)


def _scales(scores: np.ndarray, shares: Sequence[float]) -> np.ndarray:
    """(len(shares), channels): 0 for the channels that go."""
    rank = np.argsort(np.argsort(scores, kind="stable"), kind="stable")
    return (rank >= _removed(len(scores), shares)[:, None]).astype(np.float32)


def _increments(scores: np.ndarray, removed: np.ndarray, curve: np.ndarray) -> np.ndarray:
    points = [(0, 0.0)]
    for count, loss in sorted(zip(removed.tolist(), np.maximum.accumulate(curve).tolist())):
        if count > points[-1][0]:
            points.append((count, max(loss, 0.0)))
    x, y = np.array(_convex(points)).T
    slopes = np.diff(y) / np.diff(x) if len(x) > 1 else np.zeros(1)
    segment = np.searchsorted(x[1:], np.arange(len(scores)), side="right")
    by_rank = slopes[np.minimum(segment, len(slopes) - 1)]
    by_rank = by_rank + TIE * (by_rank.max() or 1.0) * np.arange(len(scores))
    found = np.empty(len(scores))
    found[np.argsort(scores, kind="stable")] = by_rank
    return found


def _convex(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Corners of the greatest convex function below the points, which ascend (Andrew's monotone chain)."""
    corners: list[tuple[int, float]] = []
    for x, y in points:
        while len(corners) > 1 and _slope(corners[-2], corners[-1]) >= _slope(corners[-1], (x, y)):
            corners.pop()
        corners.append((x, y))
    return corners


def _slope(a: tuple[int, float], b: tuple[int, float]) -> float:
    return (b[1] - a[1]) / (b[0] - a[0])
