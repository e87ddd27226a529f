"""Packing: pieces of one memory in as little of it as can be found, some of them at allowed distances.

A distance rule is a list of open intervals (low, high): the start of one piece less the start of another may
not lie strictly within any. (-size, size of the other) keeps two pieces apart; less than that lets one begin
while the other is still being used up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
import random
from typing import TypeAlias

Interval: TypeAlias = tuple[int, int]
TRIES, TRIED_RULES = 600, 500_000
"""Orders tried beyond the usual ones, and rules between pieces looked at for that, at most. No number of
seconds: the plan is the same everywhere."""
SLACK = 1.2
"""How much higher than the best a packing may be and still be gone on from (record-to-record travel)."""


@dataclass(frozen=True)
class Pieces:
    """What is to be packed.

    sizes:     bytes of each piece
    times:     first and last moment of each piece: good orders follow from them
    forbidden: (a, b), a < b -> open intervals in which start of b - start of a may not lie
    alignment: of every start
    """

    sizes: Sequence[int]
    times: Sequence[tuple[int, int]]
    forbidden: Mapping[tuple[int, int], Sequence[Interval]]
    alignment: int = 1

    def only(self, members: Sequence[int]) -> "Pieces":
        """Some of the pieces by themselves, in ascending order."""
        members = sorted(members)
        number = {piece: i for i, piece in enumerate(members)}
        return Pieces([self.sizes[i] for i in members], [self.times[i] for i in members],
                      {(number[a], number[b]): rule for (a, b), rule in self.forbidden.items()
                       if a in number and b in number}, self.alignment)

    def near(self) -> "Near":
        """Per piece: (another, low, high) where its start less the other's may not lie."""
        near: Near = [[] for _ in self.sizes]
        for (a, b), intervals in self.forbidden.items():
            for low, high in intervals:
                near[b].append((a, low, high))
                near[a].append((b, -high, -low))
        return near


Near: TypeAlias = list[list[tuple[int, int, int]]]


Key: TypeAlias = Callable[[int, int, int, int], tuple]
ORDERS: tuple[Key, ...] = (
    lambda i, size, first, last: (-size, first, i),
    lambda i, size, first, last: (-size * (last - first + 1), i),
    lambda i, size, first, last: (first, -size, i),
    lambda i, size, first, last: (first - last, -size, i),
    lambda i, size, first, last: (-last, -size, i),
)
"""Largest first; largest area of bytes and time first; earliest first; longest-lived first; latest first."""


def pack(pieces: Pieces, floor: int = 0) -> list[int]:
    """The start of each piece. floor: no packing ends lower, so that one that ends there is not improved.

    Greedy by several orders (Pisarchyk and Lee 2020, "Efficient Memory Management for Deep Neural Net
    Inference", section 5), then iterated: a piece that ends highest is placed earlier than it was.
    """
    near, numbered = pieces.near(), list(enumerate(zip(pieces.sizes, pieces.times, strict=True)))
    orders = [[i for i, _ in sorted(numbered, key=lambda row: key(row[0], row[1][0], *row[1][1]))]
              for key in ORDERS]
    found = [(_place(order, pieces, near), order) for order in orders]
    starts, order = min(found, key=lambda pair: _height(pieces, pair[0]))
    return _improved(pieces, near, starts, order, floor)


def end_of(pieces: Pieces, starts: Sequence[int]) -> int:
    """The highest end."""
    return max((start + size for start, size in zip(starts, pieces.sizes, strict=True)), default=0)


def _height(pieces: Pieces, starts: Sequence[int]) -> tuple[int, int]:
    """What is made small: the highest end, then the sum of all ends."""
    return end_of(pieces, starts), sum(starts)


def _place(order: Sequence[int], pieces: Pieces, near: Near) -> list[int]:
    """Each piece, in order, at the lowest start that those before it allow."""
    starts: list[int] = [-1] * len(order)
    for piece in order:
        taken = sorted([(starts[other] + low, starts[other] + high)
                        for other, low, high in near[piece] if starts[other] >= 0])
        starts[piece] = _lowest(taken, pieces.alignment)
    return starts


def _lowest(taken: Sequence[Interval], alignment: int) -> int:
    """The lowest multiple of `alignment` strictly within none of the open intervals, which are sorted."""
    start = 0
    for low, high in taken:
        if low >= start:
            break
        if high > start:
            start = -(-high // alignment) * alignment
    return start


def _improved(pieces: Pieces, near: Near, starts: list[int], order: list[int], floor: int) -> list[int]:
    """Iterated greedy (Dueck 1993, record-to-record travel): the best of all is kept."""
    chance, best = random.Random(0), starts
    for _ in range(min(TRIES, TRIED_RULES // (1 + sum(map(len, near))))):
        if end_of(pieces, best) <= floor or len(order) < 2:
            break
        changed = _moved(pieces, starts, order, chance)
        placed = _place(changed, pieces, near)
        if end_of(pieces, placed) <= SLACK * end_of(pieces, best):
            starts, order = placed, changed
            best = min(best, starts, key=lambda each: _height(pieces, each))
    return best


def _moved(pieces: Pieces, starts: Sequence[int], order: Sequence[int], chance: random.Random) -> list[int]:
    """The order with a piece that ends highest placed earlier; sometimes any piece, anywhere."""
    end, order = end_of(pieces, starts), list(order)
    highest = [i for i in order if starts[i] + pieces.sizes[i] == end and i != order[0]]
    piece = chance.choice(highest if highest and chance.random() < 0.5 else order)
    at = order.index(piece)
    order.remove(piece)
    order.insert(chance.randrange(at + 1 if piece in highest else len(order) + 1), piece)
    return order
