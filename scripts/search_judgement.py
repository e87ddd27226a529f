"""What the figures of benchmark_search.py come to, and the bounds that they are held against."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from figures import Conditions, Figure
import numpy as np
from search_runs import GRID, LONG, OURS, RANDOM, Searched

from toolchain.search.front import hypervolume

WORST = (5.0, 10.0, 20.0)
"""Points of accuracy: a network that loses more is worth nothing. Bounds are of the first."""
AGAINST: Mapping[str, float | None] = {RANDOM: 1.15, GRID: 1.3, LONG: None}
"""Method -> how many times its hypervolume a search is to have; None where nothing is asked for."""
FEWER, LEAST_LOST = 1.5, 1.0
"""How many times fewer instructions than as it came, at so many points lost on test samples."""


@dataclass(frozen=True)
class Found:
    """Searches by network and method; what was said of the conditions; hours of one core."""

    searches: Mapping[tuple[str, str], list[Searched]]
    said: str
    hours: float

    @classmethod
    def of(cls, figures: Iterable[Figure]) -> "Found":
        figures, searches = [*figures], {}
        for figure in figures:
            if isinstance(figure, Searched):
                searches.setdefault((figure.task.network, figure.task.method), []).append(figure)
        said = next(figure.said for figure in figures if isinstance(figure, Conditions))
        return cls(searches, said, sum(figure.seconds for figure in figures) / 3600)

    @property
    def networks(self) -> list[str]:
        return list(dict.fromkeys(network for network, _ in self.searches))

    def against(self, network: str) -> list[tuple[str, float | None]]:
        """Methods that were tried on it beside OURS, with their bounds."""
        return [(method, bound) for method, bound in AGAINST.items() if (network, method) in self.searches]

    def volumes(self, network: str, method: str, worst: float,
                of: Callable[[Searched, float], float]) -> np.ndarray:
        """(seeds,)"""
        return np.array([of(one, worst) for one in self.searches[network, method]])

    def ratio(self, network: str, method: str, worst: float,
              of: Callable[[Searched, float], float]) -> float:
        """Mean volume of a search's fronts over that of another method's."""
        return float(self.volumes(network, OURS, worst, of).mean()
                     / self.volumes(network, method, worst, of).mean())


def selected_volume(found: Searched, worst: float) -> float:
    """Of what was tried, by selection samples: in shares of the instructions as it came, times points."""
    whole = found.plain[0]
    return hypervolume([(cost / whole, lost) for cost, lost in found.tried], (1.0, worst))


def tested_volume(found: Searched, worst: float) -> float:
    """Of the front that selection samples chose, by test samples."""
    whole = found.plain[0]
    return hypervolume([(cost / whole, lost) for cost, _, lost, _ in found.front], (1.0, worst))


def saving(found: Searched) -> float | None:
    """How many times fewer instructions the cheapest network of the front takes that loses LEAST_LOST on test
    samples at most; None where there is none."""
    costs = [cost for cost, _, lost, _ in found.front if lost <= LEAST_LOST]
    return found.plain[0] / min(costs) if costs else None


def below(found: Found, volume: Callable[[Searched, float], float], samples: str) -> Iterator[str]:
    """Ratios of volumes on these samples that are less than what is asked for."""
    for network in found.networks:
        for method, bound in found.against(network):
            ratio = found.ratio(network, method, WORST[0], volume)
            if bound and ratio < bound:
                yield (f"{network}: {ratio:.2f} of the hypervolume of {method} on {samples} samples; asked "
                       f"for {bound}")


def missed(found: Found) -> Iterator[str]:
    """Bounds that do not hold: on test samples."""
    yield from below(found, tested_volume, "test")
    for network in found.networks:
        savings = [saving(one) or 0.0 for one in found.searches[network, OURS]]
        if np.mean(savings) < FEWER:
            yield (f"{network}: {np.mean(savings):.2f}x fewer instructions at {LEAST_LOST:g} points; asked "
                   f"for {FEWER}x")


def shortcomings(figures: Iterable[Figure], quick: bool) -> list[str]:
    """Of a quick run, only that every method found something."""
    found = Found.of(figures)
    if quick:
        return [f"{method} of {network} found nothing"
                for (network, method), searches in found.searches.items()
                if not all(one.front for one in searches)]
    return [*missed(found)]
