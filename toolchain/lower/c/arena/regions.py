"""Memories beside the main one, such as a core's TCM: which pieces of the arena lie in them.

What is accessed most often for its size comes first, into the fastest memory that still holds it. All
memories have addresses in one row, the main one first, so that pieces of two of them never share a byte.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from toolchain.ir.graph import Graph
from toolchain.ir.ops import op_macs
from toolchain.lower.c.arena.lifetimes import Span
from toolchain.lower.c.arena.packing import Pieces, end_of, pack
from toolchain.lower.c.arena.views import byte_size

ARENA_ALIGNMENT = 16


@dataclass(frozen=True)
class Region:
    """Bytes of a memory that are used. start: of its addresses; 0 for the main one, the first"""

    name: str
    start: int
    bytes: int


def spread(pieces: Pieces, heat: Sequence[float], kept: Collection[int],
           memories: Sequence[tuple[str, int]], floor: int) -> tuple[list[int], tuple[Region, ...]]:
    """The start of each piece, and what is used of each memory; of those that hold nothing, no word.

    heat:  accesses of a byte of each piece;  kept: pieces that stay in the main memory
    memories: (name, bytes) of the others, fastest first;  floor: as `pack` takes it, for one memory
    """
    if not memories:
        starts = pack(pieces, floor)
        return starts, (Region("arena", 0, end_of(pieces, starts)),)
    held: list[list[int]] = [[] for _ in (None, *memories)]
    for piece in sorted(range(len(heat)), key=lambda i: (-heat[i], pieces.sizes[i], i)):
        fitting = (number for number, (_, size) in enumerate(memories, start=1)
                   if piece not in kept and _fits(pieces.only([*held[number], piece]), size))
        held[next(fitting, 0)].append(piece)
    return _side_by_side(pieces, held, ["arena", *(name for name, _ in memories)])


def _side_by_side(pieces: Pieces, held: Sequence[Sequence[int]],
                  names: Sequence[str]) -> tuple[list[int], tuple[Region, ...]]:
    starts, regions, base = [0] * len(pieces.sizes), [], 0
    for name, members in zip(names, held, strict=True):
        if regions and not members:
            continue
        part = pieces.only(members)
        packed = pack(part)
        for piece, start in zip(sorted(members), packed, strict=True):
            starts[piece] = base + start
        regions.append(Region(name, base, end_of(part, packed)))
        base += -(-regions[-1].bytes // ARENA_ALIGNMENT) * ARENA_ALIGNMENT
    return starts, tuple(regions)


def _fits(pieces: Pieces, size: int) -> bool:
    return end_of(pieces, pack(pieces, floor=size)) <= size


def heat_of(graph: Graph, pieces: Sequence[Sequence[Span]]) -> list[float]:
    """Accesses of each byte of some pieces of memory, about: a write, and what ops read, once for each
    product; of scratch, which is written and read for each pixel, no end of them."""
    reads: dict[str, float] = {}
    for op in graph.ops:
        for name in op.inputs:
            size = byte_size(graph.tensors[name])
            reads[name] = reads.get(name, 1.0) + max(1.0, op_macs(graph, op) / size)
    return [max(reads.get(span.name, 1.0) if span.name in graph.tensors else float("inf") for span in held)
            for held in pieces]
