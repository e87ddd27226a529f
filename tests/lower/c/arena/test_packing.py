"""Packing beside an exact solver: never below the optimum, and seldom above it."""

import random

import pytest

from toolchain.lower.c.arena.packing import Pieces, end_of, pack

NEVER = -10**9
SMALL = 200
"""Seeded problems that are solved exactly."""


def random_pieces(seed: int) -> Pieces:
    """3 to 8 pieces over a few moments; of pairs that meet, some may overlap on one side, some exactly."""
    chance = random.Random(seed)
    count, moments = chance.randint(3, 8), chance.randint(3, 8)
    sizes = [chance.choice((4 * chance.randint(1, 12), chance.randint(1, 100))) for _ in range(count)]
    times = [tuple(sorted(chance.choices(range(moments), k=2))) for _ in range(count)]
    forbidden = {}
    for b in range(count):
        for a in range(b):
            if times[a][0] <= times[b][1] and times[b][0] <= times[a][1]:
                forbidden[a, b] = _rule(sizes[a], sizes[b], chance)
    return Pieces(sizes, times, {pair: rule for pair, rule in forbidden.items() if rule})


def _rule(bytes_a: int, bytes_b: int, chance: random.Random) -> list[tuple[int, int]]:
    low, high, kind = -bytes_b, bytes_a, chance.random()
    if kind < 0.25:
        low = max(low, chance.randint(-20, 10))
    elif kind < 0.4:
        high = min(high, chance.randint(-5, 20))
    elif kind < 0.5:
        return [(low, 0), (0, high)]
    return [(low, high)] if low < high else []


def keeps(pieces: Pieces, starts: list[int]) -> bool:
    """Whether nothing lies where it may not."""
    return all(start >= 0 and start % pieces.alignment == 0 for start in starts) and not any(
        low < starts[b] - starts[a] < high
        for (a, b), rule in pieces.forbidden.items() for low, high in rule)


class Solver:
    """Branch and bound over which of its allowed stretches each pair's distance lies in.

    Distances are kept as longest paths: least[i][j] = least start of j - start of i; the last row is of
    address 0.
    """

    def __init__(self, pieces: Pieces, below: int):
        self.sizes, self.best = pieces.sizes, below
        self.stretches = {pair: _stretches(rule) for pair, rule in pieces.forbidden.items()}
        count = len(pieces.sizes)
        least = [[0 if i == j else NEVER for j in range(count + 1)] for i in range(count)]
        self._search([*least, [0] * (count + 1)], list(self.stretches))

    def _search(self, least: list[list[int]], open_pairs: list[tuple[int, int]]) -> None:
        if not open_pairs:
            self.best = min(self.best, self._end(least))
            return
        branches = {pair: self._branches(least, pair) for pair in open_pairs}
        pair = min(open_pairs, key=lambda each: len(branches[each]))
        for branch in sorted(branches[pair], key=self._end):
            if self._end(branch) < self.best:
                self._search(branch, [each for each in open_pairs if each != pair])

    def _branches(self, least: list[list[int]], pair: tuple[int, int]) -> list[list[list[int]]]:
        found = []
        for low, high in self.stretches[pair]:
            branch = _lengthened(least, *pair, low)
            branch = branch and _lengthened(branch, *pair[::-1], -high)
            if branch and self._end(branch) < self.best:
                found.append(branch)
        return found

    def _end(self, least: list[list[int]]) -> int:
        return max(start + size for start, size in zip(least[-1], self.sizes))


def _stretches(rule: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """What is left of all distances without the open intervals, which are sorted and disjoint."""
    ends = [NEVER, *(end for interval in rule for end in interval), -NEVER]
    return list(zip(ends[::2], ends[1::2]))


def _lengthened(least: list[list[int]], i: int, j: int, distance: int) -> list[list[int]] | None:
    """With j at least `distance` after i; None where that cannot be."""
    if least[j][i] + distance > 0:
        return None
    return [[max(known, row[i] + distance + least[j][k]) for k, known in enumerate(row)] for row in least]


@pytest.fixture(scope="module")
def ratios() -> list[float]:
    """Found end / least end of each problem."""
    found = []
    for seed in range(SMALL):
        pieces = random_pieces(seed)
        starts = pack(pieces)
        assert keeps(pieces, starts), seed
        found.append(end_of(pieces, starts) / Solver(pieces, end_of(pieces, starts)).best)
    return found


def test_small_problems_are_packed_optimally(ratios):
    """Over 2,000 seeds 7 were not, the worst 1.09 times the least."""
    assert sum(ratio == 1 for ratio in ratios) >= 0.98 * SMALL
    assert max(ratios) <= 1.1


def test_the_solver_finds_known_optima():
    """Three that all meet stack up; with b let into a, one less; a hole is filled."""
    apart = {(0, 1): [(-5, 8)], (0, 2): [(-3, 8)], (1, 2): [(-3, 5)]}
    together = [(0, 0)] * 3
    assert Solver(Pieces([8, 5, 3], together, apart), 99).best == 16
    let_in = {**apart, (0, 1): [(-5, 2)]}
    assert Solver(Pieces([8, 5, 3], together, let_in), 99).best == 11
    assert end_of(Pieces([8, 5, 3], together, let_in), pack(Pieces([8, 5, 3], together, let_in))) == 11


@pytest.mark.parametrize("alignment", [4, 16])
def test_alignment(alignment):
    for seed in range(30):
        pieces = random_pieces(seed)
        pieces = Pieces(pieces.sizes, pieces.times, pieces.forbidden, alignment)
        assert keeps(pieces, pack(pieces)), seed


def test_the_same_packing_every_time():
    pieces = random_pieces(7)
    assert pack(pieces) == pack(pieces)


def test_nothing():
    assert pack(Pieces([], [], {})) == [] and end_of(Pieces([], [], {}), []) == 0
