"""What the figures of benchmark_pruning.py come to, and the bounds that they are held against."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product

from figures import Conditions
import numpy as np
from pruning_figures import (
    BOARD,
    GAIN,
    HOST,
    ON_HOST,
    OURS,
    ROUNDED_FOR,
    SHARES,
    THEIRS,
    UNPRUNED,
    Cell,
    Correlated,
    Deployed,
    Failed,
    Measured,
    Timed,
    Tuned,
)

from toolchain.paired import ALPHA, McNemar, mcnemar, significantly_worse

MOST_DROP, MOST_TOTAL = 1.0, 1.5
"""Points of accuracy lost by half of the MACs, and with INT8 too."""
ALL_SEEDS = 3
"""Means are judged over so many."""


@dataclass(frozen=True)
class Found:
    """Figures by what they are of."""

    tuned: Mapping[Cell, Tuned]
    failed: Mapping[Cell, str]
    deployed: Mapping[Cell, Deployed]
    timed: Mapping[Cell, Timed]
    correlated: tuple[Correlated, ...]
    said: str
    hours: float

    @classmethod
    def of(cls, figures: Iterable[Measured]) -> "Found":
        figures = [*figures]
        by_cell = {kind: {f.cell: f for f in figures if isinstance(f, kind)}
                   for kind in (Tuned, Failed, Deployed, Timed)}
        return cls(by_cell[Tuned], {cell: f.why for cell, f in by_cell[Failed].items()}, by_cell[Deployed],
                   by_cell[Timed], tuple(f for f in figures if isinstance(f, Correlated)),
                   next(f.said for f in figures if isinstance(f, Conditions)),
                   sum(f.seconds for f in figures) / 3600)

    @property
    def networks(self) -> list[str]:
        return sorted({cell.network for cell in self.tuned})

    @property
    def seeds(self) -> list[int]:
        return sorted({cell.seed for cell in self.tuned})

    def cells(self, network: str, side: str, share: float) -> list[Cell]:
        """By seed; [] where one of them failed."""
        cells = [Cell(network, side, share, seed) for seed in self.seeds]
        return cells if all(cell in self.tuned for cell in cells) else []

    def drops(self, cells: list[Cell]) -> np.ndarray:
        """Points, per seed, against the network that was tuned as long without being pruned."""
        return np.array([100 * (self.whole(cell).test - self.tuned[cell].test) for cell in cells])

    def whole(self, cell: Cell) -> Tuned:
        return self.tuned[cell.unpruned]

    def right(self, cells: list[Cell]) -> np.ndarray:
        """Of all seeds, one after the other."""
        return np.concatenate([self.tuned[cell].right for cell in cells])


@dataclass(frozen=True)
class Point:
    """Ours beside Torch-Pruning's criterion that did best on the test samples themselves.

    drop, best_drop: mean points over seeds;  test: of the hits of all seeds;  worse: ours, significantly
    """

    network: str
    share: float
    drop: float
    best: str
    best_drop: float
    test: McNemar
    worse: bool


def points(found: Found, side: str = OURS) -> Iterator[Point]:
    for network, share in product(found.networks, SHARES):
        mine = found.cells(network, side, share)
        theirs = {name: cells for name in THEIRS if (cells := found.cells(network, name, share))}
        if not mine or not theirs:
            continue
        best = min(theirs, key=lambda name: found.drops(theirs[name]).mean())
        hits = found.right(mine), found.right(theirs[best])
        yield Point(network, share, found.drops(mine).mean(), best, found.drops(theirs[best]).mean(),
                    mcnemar(*hits), significantly_worse(*hits))


@dataclass(frozen=True)
class Gain:
    """How many times less a cell takes than the unpruned network. host: 0 where it was not timed"""

    cell: Cell
    macs: float
    instructions: float
    host: float


def gains(found: Found) -> Iterator[Gain]:
    for cell, figure in found.deployed.items():
        if cell.side != UNPRUNED:
            macs, whole = found.tuned[cell].macs, found.deployed[cell.unpruned]
            yield Gain(cell, macs[0] / macs[1], whole.instructions / figure.instructions,
                       1 / found.timed[cell].ratio if cell in found.timed else 0.0)


def total_drops(found: Found, cells: list[Cell]) -> np.ndarray:
    """Points, per seed: INT8 against the unpruned network in float."""
    return np.array([100 * (found.whole(cell).test - found.deployed[cell].test) for cell in cells])


# Bounds -----------------------------------------------------------------------------------------------------

def shortcomings(figures: Iterable[Measured], quick: bool = False) -> list[str]:
    """Where a bound is missed, in words. quick: of answers alone, which a short run is held to"""
    return [*(missed_answers if quick else missed)(Found.of(figures))]


def missed(found: Found) -> Iterator[str]:
    yield from missed_answers(found)
    yield from _missed_gains(found)
    if len(found.seeds) >= ALL_SEEDS:
        yield from _missed_totals(found)


def missed_answers(found: Found) -> Iterator[str]:
    """Of accuracy, and where ours does not run."""
    judged = [*points(found)]
    for p in judged:
        where = f"{p.network}, {1 / p.share:.0f}x"
        if p.worse:
            yield f"{where}: drop {p.drop:.2f}, {p.best} {p.best_drop:.2f}, p = {p.test.p:.3f} < {ALPHA}"
        if p.share == SHARES[0] and p.drop > MOST_DROP and len(found.seeds) >= ALL_SEEDS:
            yield f"{where}: drop {p.drop:.2f} points (at most {MOST_DROP})"
    if len(found.seeds) >= ALL_SEEDS and judged and sum(p.best_drop - p.drop for p in judged) <= 0:
        yield "on average not better than Torch-Pruning's best criteria"
    yield from (f"{cell.text}: {why}" for cell, why in found.failed.items() if cell.side in ROUNDED_FOR)


def _missed_gains(found: Found) -> Iterator[str]:
    for g in gains(found):
        for side, target, gain in ((OURS, BOARD, g.instructions), (ON_HOST, HOST, g.host)):
            if g.cell.side == side and gain and gain < GAIN * g.macs:
                yield f"{g.cell.text}: {gain:.2f}x on {target} (at least {GAIN * g.macs:.2f}x)"


def _missed_totals(found: Found) -> Iterator[str]:
    for network in found.networks:
        cells = found.cells(network, OURS, SHARES[0])
        if cells and (drop := total_drops(found, cells).mean()) > MOST_TOTAL:
            yield f"{network}: 2x and INT8 lose {drop:.2f} points (at most {MOST_TOTAL})"
