"""Points that no other is better than, and what they are worth together. All figures shall be small.

Of two figures, all of it takes as long as sorting: a search asks for parents after each of its trials.
"""

from collections.abc import Iterator, Sequence

import numpy as np

REFERENCE = 1.1
"""Of hypervolumes, where the figures of all points span 0 to 1."""


def dominates(first: Sequence[float], second: Sequence[float]) -> bool:
    """Whether it is nowhere worse, and somewhere better."""
    return all(a <= b for a, b in zip(first, second, strict=True)) and tuple(first) != tuple(second)


def front(points: Sequence[Sequence[float]]) -> list[int]:
    """Positions of the points that none dominates, the least first figure first; of equal ones the first."""
    if len(points) and len(points[0]) == 2:
        return next(_swept(np.asarray(points, np.float64)))
    order = sorted(range(len(points)), key=lambda number: (*points[number], number))
    kept: list[int] = []
    for number in order:
        if not any(dominates(points[other], points[number]) or tuple(points[other]) == tuple(points[number])
                   for other in kept):
            kept.append(number)
    return kept


def hypervolume(points: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    """Of the space that the points dominate up to the reference (Zitzler & Thiele 1998); 0 of none.

    points: (N, M), M >= 1;  reference: (M,). By slicing the last figure down to two, and a sweep over these:
    exact, and quick for the few figures that a search has.
    """
    inside = [tuple(point) for point in points
              if all(x < most for x, most in zip(point, reference, strict=True))]
    if not inside:
        return 0.0
    if len(reference) == 1:
        return float(reference[0] - min(point[0] for point in inside))
    if len(reference) == 2:
        return _area(inside, reference)
    ends = [*sorted({point[-1] for point in inside}), reference[-1]]
    return sum((end - start) * hypervolume([point[:-1] for point in inside if point[-1] <= start],
                                           reference[:-1])
               for start, end in zip(ends, ends[1:]))


def _area(inside: Sequence[Sequence[float]], reference: Sequence[float]) -> float:
    area, top = 0.0, reference[1]
    for x, y in sorted(inside):
        if y < top:
            area, top = area + (reference[0] - x) * (top - y), y
    return float(area)


def contributions(points: Sequence[Sequence[float]], reference: Sequence[float]) -> list[float]:
    """Of each point, by how much the hypervolume would be less without it."""
    whole = hypervolume(points, reference)
    return [whole - hypervolume([other for place, other in enumerate(points) if place != number], reference)
            for number in range(len(points))]


def ranked(points: Sequence[Sequence[float]], count: int) -> list[int]:
    """Positions of so many, best first: by fronts, each without those before it; within one by contribution.

    Figures are brought to the span of all points first, and held against a reference a tenth beyond.
    """
    if not len(points):
        return []
    values = np.asarray(points, np.float64)
    low, high = values.min(axis=0), values.max(axis=0)
    scaled = (values - low) / np.where(high > low, high - low, 1)
    order: list[int] = []
    for best in _fronts(scaled):
        if len(order) >= count:
            break
        shares = _shares(scaled[best])
        order += [number for _, number in sorted(zip(shares, best), key=lambda pair: (-pair[0], pair[1]))]
    return order[:count]


def _fronts(points: np.ndarray) -> Iterator[list[int]]:
    """Each without those before it."""
    return _swept(points) if points.shape[1] == 2 else _peeled(points)


def _peeled(points: np.ndarray) -> Iterator[list[int]]:
    left = list(range(len(points)))
    while left:
        best = [left[number] for number in front(points[left].tolist())]
        yield best
        left = sorted({*left}.difference(best))


def _swept(points: np.ndarray) -> Iterator[list[int]]:
    """Of two figures: in order of the first, what has less of the second than all before it."""
    order = np.lexsort((points[:, 1], points[:, 0]))
    while len(order):
        second = points[order, 1]
        first = np.append(True, second[1:] < np.minimum.accumulate(second)[:-1])
        yield order[first].tolist()
        order = order[~first]


def _shares(front: np.ndarray) -> list[float]:
    """`contributions` to a front within the unit box; of two figures a step between its neighbours each."""
    if front.shape[1] != 2:
        return contributions(front.tolist(), [REFERENCE] * front.shape[1])
    x, y = [*front[:, 0].tolist(), REFERENCE], [REFERENCE, *front[:, 1].tolist()]
    return [(right - left) * (above - below) for left, right, above, below in zip(x, x[1:], y, y[1:])]
