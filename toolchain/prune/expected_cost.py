"""What a network costs of whose groups so many channels are expected to stay: numbers that are not whole."""

from collections.abc import Callable, Sequence

import numpy as np

Price = Callable[[Sequence[int]], float]
"""What a network costs whose groups keep so many channels."""


class ExpectedCost:
    """Known where every group keeps a multiple of its step or all; linear around the nearest such place.

    So a staircase is seen as the line through its corners, along which it can be descended.
    full:  channels of each group
    steps: what kept channels are a multiple of
    look() comes before at().
    """

    def __init__(self, price: Price, full: Sequence[int], steps: Sequence[int]):
        self.price = price
        self.corners = [np.unique(np.append(np.arange(step, count + 1, step), count))
                        for count, step in zip(full, steps)]

    def look(self, counts: np.ndarray) -> None:
        """Take value and slopes at the corners nearest to these counts, (groups,)."""
        self.looked = counts
        self.near = np.array([_nearest(places, count) for places, count in zip(self.corners, counts)])
        self.value = self.price(self.near.tolist())
        self.slopes = np.array([self._slope(group, count) for group, count in enumerate(counts)])

    def at(self, counts: np.ndarray) -> float:
        return self.value + float(self.slopes @ (counts - self.near))

    def _slope(self, group: int, count: float) -> float:
        """Towards the next corner, on the side of `count` where there is one; 0 where there is none."""
        others = self.corners[group][self.corners[group] != self.near[group]]
        if not len(others):
            return 0.0
        beyond = others[(others > self.near[group]) == (count > self.near[group])]
        other = _nearest(beyond if len(beyond) else others, self.near[group])
        counts = self.near.tolist()
        counts[group] = int(other)
        return (self.price(counts) - self.value) / float(other - self.near[group])


def _nearest(places: np.ndarray, count: float) -> int:
    return int(places[np.abs(places - count).argmin()])
