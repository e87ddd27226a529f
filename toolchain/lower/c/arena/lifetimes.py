"""Lifetimes: which bytes hold something at which moment, and so how far apart pieces of memory must lie.

Moments are the ops' numbers, and one after the last, when outputs are read.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from toolchain.ir.graph import Graph, Op
from toolchain.ir.loops import ENTRIES, EXITS, Loop, extents
from toolchain.lower.c.arena.packing import Interval
from toolchain.lower.c.arena.views import Layout, byte_size
from toolchain.lower.c.call import Call, Overlap

Calls = Mapping[str, Sequence[Call]]
"""Op -> its kernel calls, in order."""
Pair = tuple[str, str]


@dataclass(frozen=True)
class Span:
    """`bytes` bytes at `offset` of a piece of memory hold a tensor, or an op's scratch, at the moments
    `first` to `last`, both included.

    piece: the tensor whose bytes they are part of
    """

    name: str
    piece: str
    offset: int
    bytes: int
    first: int
    last: int

    def meets(self, other: "Span") -> bool:
        """Whether some moment needs both."""
        return self.first <= other.last and other.first <= self.last


def spans(graph: Graph, layout: Layout, scratch: Mapping[str, int]) -> list[Span]:
    """Of every activation and every op's scratch (op -> bytes).

    A view holds from when its source is written, and is no reader of it: what of the source is in no view
    that is read later is free.
    """
    first, last = _moments(graph, layout.views)
    tensors = [Span(name, place.owner, place.offset, byte_size(graph.tensors[name]), first[name], last[name])
               for name, place in layout.places.items()]
    return tensors + [Span(f"{op.name}.scratch", f"{op.name}.scratch", 0, scratch[op.name], i, i)
                      for i, op in enumerate(graph.ops) if scratch.get(op.name)]


def _moments(graph: Graph, views: frozenset[str]) -> tuple[dict[str, int], dict[str, int]]:
    """First and last moment of each activation."""
    first = dict.fromkeys(graph.inputs, 0)
    last = dict(first)
    for number, op in enumerate(graph.ops):
        first[op.name] = last[op.name] = first[op.inputs[0]] if op.name in views else number
        if op.name not in views:
            last |= {name: number for name in op.inputs if name in last}
    for loop, begin, end in extents(graph):
        first |= dict.fromkeys(_held_from_the_start(loop), begin)
        last |= dict.fromkeys(_held_to_the_end(loop, last), end)
    return first, last | {name: len(graph.ops) for name in graph.outputs if name in last}


def _held_from_the_start(loop: Loop) -> list[str]:
    """States, and sequences of which every step writes its place."""
    return [op.name for op in (*loop.body, *loop.exits) if op.kind in ("state", "sequence")]


def _held_to_the_end(loop: Loop, known: Container[str]) -> list[str]:
    """Activations that a step reads again, or the next one does: states and what they become, what was made
    outside; and what leaves the loop behind the last step."""
    inside = {op.name for op in loop.body}
    outside = [name for op in loop.body if op.kind != "state" for name in op.inputs
               if name in known and name not in inside]
    states = [name for op in loop.body if op.kind == "state" for name in (op.name, op.inputs[1])]
    return [*outside, *states, *(op.inputs[0] for op in loop.exits)]


def apart(bytes_a: int, bytes_b: int) -> Interval:
    """Where start of b - start of a may not lie, strictly, so that a and b share no byte."""
    return -bytes_b, bytes_a


def over(overlaps: Sequence[Overlap], bytes_x: int, bytes_out: int) -> list[Interval]:
    """Where start of out - start of operand x may not lie, strictly, with these overlaps of the two."""
    low, high = apart(bytes_x, bytes_out)
    low = max([low, *(-each.before for each in overlaps if each.before is not None)])
    high = min([high, *(each.after + bytes_x - bytes_out for each in overlaps if each.after is not None)])
    if any(each.exact for each in overlaps) and low < 0 < high:
        return [(low, 0), (0, high)]
    return [(low, high)] if low < high else []


def operand_rules(graph: Graph, op: Op, calls: Sequence[Call]) -> dict[str, list[Interval]]:
    """Operand -> where start of output - start of operand may not lie, if nobody reads it afterwards, in
    either direction of the op's one call. An operand that is read in several roles keeps each one's rules."""
    if len(calls) != 1 or op.kind in ENTRIES | EXITS:
        return {}
    call, rules = calls[0], {}
    for number, name in enumerate(call.operands):
        x = graph.tensors[name]
        if not x.is_constant:
            overlaps = [each for way in directions(graph, call) for each in way.overlaps
                        if each.operand == number]
            rules.setdefault(name, []).extend(over(overlaps, byte_size(x), byte_size(graph.tensors[op.name])))
    unread = (name for name in op.inputs if name not in rules and not graph.tensors[name].is_constant)
    return rules | {name: [apart(byte_size(graph.tensors[name]), byte_size(graph.tensors[op.name]))]
                    for name in unread}


def directions(graph: Graph, call: Call) -> list[Call]:
    """The call, and backwards where that is another way: with one operand, because several might each want
    another order."""
    one = sum(not graph.tensors[name].is_constant for name in call.operands) == 1
    return [call, call.backwards] if call.backwards and one else [call]


def distances(graph: Graph, alive: Sequence[Span], calls: Calls) -> dict[Pair, list[Interval]]:
    """Pairs of pieces -> where start of the second - start of the first may not lie, strictly."""
    dying = dict(_dying(graph, alive, calls))
    rules: dict[Pair, set[Interval]] = {}
    for i, b in enumerate(alive):
        for a in alive[:i]:
            if a.piece != b.piece and a.meets(b):
                shift = a.offset - b.offset
                found = rules.setdefault((a.piece, b.piece), set())
                found |= {(low + shift, high + shift) for low, high in _between(a, b, dying)}
    return {pair: sorted(intervals) for pair, intervals in rules.items()}


def _dying(graph: Graph, alive: Sequence[Span], calls: Calls) -> Iterator[tuple[Pair, list[Interval]]]:
    """(operand, output) of an op after which the operand is not read -> its rule."""
    last = {span.name: span.last for span in alive}
    for number, op in enumerate(graph.ops):
        for name, rule in operand_rules(graph, op, calls.get(op.name, ())).items():
            if last[name] == number:
                yield (name, op.name), rule


def _between(a: Span, b: Span, dying: Mapping[Pair, list[Interval]]) -> list[Interval]:
    if (a.name, b.name) in dying:
        return dying[a.name, b.name]
    if (b.name, a.name) in dying:
        return [(-high, -low) for low, high in dying[b.name, a.name]]
    return [apart(a.bytes, b.bytes)]
