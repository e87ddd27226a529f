"""What the figures of benchmark_training.py come to, and the bounds that they are held against."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from figures import Conditions, Figure
import numpy as np
from pruning_figures import GAIN, OURS, SHARES, Cell, Deployed, Tuned
from training_figures import (
    DEFAULT,
    FITNETS,
    FLOAT,
    LABELS,
    LEARNED,
    LITERT,
    ONNX,
    C,
    Coded,
    Drawn,
    Student,
    Taught,
)

from toolchain.paired import ALPHA, Interval, bootstrap

MOST_DROP = 1.0
"""Points of accuracy lost by half of the MACs."""
LEAST_LOSS, LEAST_BACK = 0.5, 0.5
"""Points that codes cost, from where on [qat] is judged; the share of them that it is to win back."""
LEAST_PREDICTED = 0.995
MOST_WORSE = 10
"""Percent by which drawing may be worse after pruning and quantizing."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Found:
    """Figures by what they are of."""

    taught: Mapping[Student, Taught]
    coded: Mapping[tuple[str, str], list[Coded]]
    drawn: Mapping[str, list[Drawn]]
    tuned: Mapping[Cell, Tuned]
    deployed: Mapping[Cell, Deployed]
    said: str
    hours: float

    @classmethod
    def of(cls, figures: Iterable[Figure]) -> "Found":
        figures = [*figures]
        kinds = {kind: [f for f in figures if isinstance(f, kind)]
                 for kind in (Taught, Coded, Drawn, Tuned, Deployed, Conditions)}
        return cls({f.student: f for f in kinds[Taught]},
                   _grouped(kinds[Coded], lambda f: (f.network, f.scheme)),
                   _grouped(kinds[Drawn], lambda f: f.network),
                   {f.cell: f for f in kinds[Tuned]}, {f.cell: f for f in kinds[Deployed]},
                   kinds[Conditions][0].said, sum(f.seconds for f in figures) / 3600)

    @cached_property
    def students(self) -> dict[str, list[str]]:
        """Network -> ways."""
        found: dict[str, list[str]] = {}
        for student in self.taught:
            ways = found.setdefault(student.network, [])
            if student.way not in ways:
                ways.append(student.way)
        return found

    def lessons(self, network: str, way: str) -> list[Taught]:
        """By seed."""
        return sorted((f for s, f in self.taught.items() if (s.network, s.way) == (network, way)),
                      key=lambda f: f.student.seed)

    def right(self, network: str, way: str) -> np.ndarray:
        """(seeds, n) bool."""
        return np.stack([figure.right() for figure in self.lessons(network, way)])


def _grouped(figures: Iterable, key) -> dict:
    found: dict = {}
    for figure in figures:
        found.setdefault(key(figure), []).append(figure)
    return found


# Distillation -----------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Lift:
    """Points of accuracy that a way of teaching gives beyond labels alone.

    interval: of their mean over seeds, by sample
    """

    accuracy: list[float]
    interval: Interval


def lift(found: Found, network: str, way: str) -> Lift:
    return Lift([*(100 * found.right(network, way).mean(1))], bootstrap(gains(found, network, way)))


def gains(found: Found, network: str, way: str) -> np.ndarray:
    """(n,) points of each test sample, mean over seeds."""
    right, plain = (found.right(network, one).astype(float) for one in (way, LABELS))
    return 100 * (right - plain).mean(0)


def overall(found: Found, way: str) -> Interval:
    """Of networks' mean gains, each counted alike: samples are drawn again within networks."""
    each = [gains(found, network, way) for network in found.students]
    random = np.random.default_rng(0)
    means = [[values[random.integers(0, len(values), len(values))].mean() for values in each]
             for _ in range(RESAMPLES)]
    low, high = np.quantile(np.mean(means, 1), [ALPHA / 2, 1 - ALPHA / 2])
    return Interval(float(np.mean([values.mean() for values in each])), float(low), float(high))


# Codes ------------------------------------------------------------------------------------------------------

def accuracy(figures: list[Coded], way: str) -> float:
    """Percent, mean over seeds."""
    return float(np.mean([100 * f.right(way).mean() for f in figures]))


def lost(figures: list[Coded], way: str) -> float:
    """Points."""
    return accuracy(figures, FLOAT) - accuracy(figures, way)


def won_back(figures: list[Coded], way: str, start: str = DEFAULT) -> float:
    """Share of what `start` loses, where it loses something."""
    return 1 - lost(figures, way) / lost(figures, start)


# Bounds -----------------------------------------------------------------------------------------------------

def shortcomings(figures: Iterable[Figure], quick: bool = False) -> list[str]:
    """Where a bound is missed, in words. quick: of what one seed and few epochs can tell"""
    found = Found.of(figures)
    return [*_misled(found)] if quick else [*missed(found)]


def missed(found: Found) -> Iterator[str]:
    yield from _misled(found)
    yield from _missed_lessons(found)
    yield from _missed_codes(found)
    yield from _missed_drawings(found)
    yield from _missed_pruning(found)


def _misled(found: Found) -> Iterator[str]:
    """Where [qat] trains for other answers than LiteRT's."""
    for (network, scheme), figures in found.coded.items():
        if (least := min(f.predicted for f in figures)) < LEAST_PREDICTED:
            yield (f"{network}, {scheme}: [qat] foretells {least:.2%} of LiteRT's answers (at least "
                   f"{LEAST_PREDICTED:.1%})")


def _missed_lessons(found: Found) -> Iterator[str]:
    for network, ways in found.students.items():
        if FITNETS in ways and (gain := lift(found, network, FITNETS)).interval.mean <= 0:
            yield f"{network}: {FITNETS} give {gain.interval.mean:+.2f} points beyond labels alone"
    if len(found.students) > 1 and not (gain := overall(found, FITNETS)).low > 0:
        yield f"on average {FITNETS} give {gain.mean:+.2f} points, from {gain.low:+.2f} on"


def _missed_codes(found: Found) -> Iterator[str]:
    for (network, scheme), figures in found.coded.items():
        where, points = f"{network}, {scheme}", lost(figures, DEFAULT)
        if points < LEAST_LOSS:
            continue
        if LEARNED not in figures[0].hits:
            yield f"{where}: loses {points:.2f} points, and is not trained"
        elif (back := won_back(figures, LEARNED)) < LEAST_BACK:
            yield f"{where}: [qat] wins back {back:.0%} of {points:.2f} points (at least {LEAST_BACK:.0%})"


def _missed_drawings(found: Found) -> Iterator[str]:
    for network, figures in found.drawn.items():
        for what in (LITERT, ONNX, C):
            if (worse := np.mean([f.worse[what][0] for f in figures])) > MOST_WORSE:
                yield f"{network}: {what} is {worse:.1f} % worse than the original (at most {MOST_WORSE} %)"
        if differing := sum(f.differing for f in figures):
            yield f"{network}: {differing} codes of the board are not the reference's"


def _missed_pruning(found: Found) -> Iterator[str]:
    for network in sorted({cell.network for cell in found.tuned}):
        if (drop := np.mean(drops(found, network, SHARES[0]))) > MOST_DROP:
            yield f"{network}: half of the MACs cost {drop:.2f} points (at most {MOST_DROP})"
    for cell, figure in found.deployed.items():
        if cell.side == OURS and (gain := fewer(found, cell)) < GAIN * macs_ratio(found.tuned[cell]):
            yield f"{figure.text}: {gain:.2f}x (at least {GAIN * macs_ratio(found.tuned[cell]):.2f}x)"


def drops(found: Found, network: str, share: float) -> list[float]:
    """Points, in float, per seed."""
    cells = [cell for cell in found.tuned if (cell.network, cell.side, cell.share) == (network, OURS, share)]
    return [100 * (found.tuned[cell.unpruned].test - found.tuned[cell].test) for cell in cells]


def macs_ratio(figure: Tuned) -> float:
    return figure.macs[0] / figure.macs[1]


def fewer(found: Found, cell: Cell) -> float:
    """How many times fewer instructions."""
    return found.deployed[cell.unpruned].instructions / found.deployed[cell].instructions
