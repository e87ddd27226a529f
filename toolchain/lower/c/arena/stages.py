"""The arena of a chain: those of its stages, which run one after another, and what outlives a stage.

An input of the chain, or what a stage makes for later ones, is handed to a stage as a buffer outside the
stage's own arena; to the last that reads it, at its place in that stage's arena.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

ALIGNMENT = 16
"""Of a stage's arena."""


@dataclass(frozen=True)
class StageArena:
    """bytes: of the arena;  inputs: value that the stage reads -> (its place in the arena, bytes)

    made: value that it makes for later stages -> bytes
    """

    bytes: int
    inputs: Mapping[str, tuple[int, int]]
    made: Mapping[str, int]


@dataclass(frozen=True)
class ChainArena:
    """starts: of each stage's arena;  values: where inputs and what is handed on lie;  bytes: of all"""

    starts: tuple[int, ...]
    values: Mapping[str, int]
    bytes: int


@dataclass(frozen=True)
class _Span:
    """Bytes from `offset` on that are in use while stages `first` to `last` run."""

    offset: int
    bytes: int
    first: int
    last: int

    def moved(self, by: int) -> "_Span":
        return _Span(self.offset + by, self.bytes, self.first, self.last)

    def conflicts(self, other: "_Span") -> bool:
        return (self.first <= other.last and other.first <= self.last
                and self.offset < other.offset + other.bytes and other.offset < self.offset + self.bytes)


def place_stages(stages: Sequence[StageArena]) -> ChainArena:
    """From the last stage to the first, each as low as what lies there already allows."""
    first = {name: 0 for stage in stages for name in stage.inputs}
    first |= {name: number for number, stage in enumerate(stages) for name in stage.made}
    last = {name: number for number, stage in enumerate(stages) for name in stage.inputs}
    placed, starts, values = [], [], {}
    for number in reversed(range(len(stages))):
        own = {name: place for name, place in stages[number].inputs.items() if last[name] == number}
        block = [_Span(0, stages[number].bytes, number, number),
                 *(_Span(offset, size, first[name], number - 1) for name, (offset, size) in own.items()
                   if first[name] < number)]
        start = _lowest(block, placed)
        starts.append(start)
        placed += [span.moved(start) for span in block]
        values |= {name: start + offset for name, (offset, _) in own.items()}
    return ChainArena(tuple(reversed(starts)), values, max(span.offset + span.bytes for span in placed))


def _lowest(block: Sequence[_Span], placed: Sequence[_Span]) -> int:
    """The lowest start of a block whose spans conflict with nothing that is placed."""
    ends = {0, *(there.offset + there.bytes - span.offset for span in block for there in placed)}
    return next(start for start in sorted(-(-end // ALIGNMENT) * ALIGNMENT for end in ends if end >= 0)
                if not any(span.moved(start).conflicts(there) for span in block for there in placed))
