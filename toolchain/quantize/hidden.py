"""What attention may not see: a mask takes scores down so far that softmax gives 0. How far needs no codes:
these are for the scores that are seen.
"""

from collections.abc import Iterator, Mapping
import math

from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.quantize.rules import SAME, rule_of

HIDES = -1000.0
"""A number of a mask that hides: beside scores, which are tens at most."""
DEPTH = math.log(512)
"""So far below the smallest score that is seen, a share is less than half a code of softmax's, 1 / 256."""

Range = tuple[float, float]


def masked_ranges(graph: Graph, ranges: Mapping[str, Range]) -> dict[str, Range]:
    """Other ranges for masks and masked scores: scores of [low, high] end at low - DEPTH, and so does a mask
    that is added where even the highest is hidden.

    ranges: of the network's reals. Of add and select ops that softmax alone reads.
    """
    found: dict[str, Range] = {}
    for op, mask, scores in _masked(graph):
        if (reach := _range_of(graph, scores, ranges)) is not None:
            low, high, depth = *reach, DEPTH / _beta(graph, op)
            seen = mask.data[mask.data > HIDES].tolist()
            if op.kind == "select":
                holds = min([low - depth, *seen]), max([low - depth, *seen])
            else:
                bottom, most = low + min([0.0, *seen]) - depth, max([0.0, *seen])
                found[op.name], holds = (bottom, high + most), (bottom - high, most)
            others = found.get(mask.name, holds)
            found[mask.name] = min(others[0], holds[0]), max(others[1], holds[1])
    return found


def _masked(graph: Graph) -> Iterator[tuple[Op, Tensor, str]]:
    """(what hides scores, the constant that does, the scores)."""
    for op in graph.ops:
        readers = graph.consumers[op.name]
        if op.kind in ("add", "select") and readers and all(r.kind == "softmax" for r in readers) \
                and op.name not in graph.outputs:
            operands = graph.of(op)[-2:]
            for mask, scores in (operands, operands[::-1]):
                if _hides(graph, mask) and not scores.is_constant:
                    yield op, mask, scores.name


def _hides(graph: Graph, mask: Tensor) -> bool:
    masks = mask.is_constant and mask.dtype == "float32" and bool((mask.data <= HIDES).any())
    return masks and {op.kind for op in graph.consumers[mask.name]} <= {"add", "select"}


def _range_of(graph: Graph, name: str, ranges: Mapping[str, Range]) -> Range | None:
    """The tensor's own, or that of what it hands on."""
    while name not in ranges:
        op = graph.producers.get(name)
        if op is None or rule_of(graph, op).output != SAME or len(op.inputs) != 1:
            return None
        name = op.inputs[0]
    return ranges[name]


def _beta(graph: Graph, op: Op) -> float:
    return min(float(reader.attrs["beta"]) for reader in graph.consumers[op.name])
