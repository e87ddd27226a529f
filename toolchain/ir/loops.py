"""Loops: what a network does once for each step of a sequence, as its recurrent layers do.

A loop lies flat among the other ops. What it repeats is every op that depends on its `step` (one place of a
sequence along an axis) or `state` ops, up to `sequence` (all steps along a new axis) and `last` (the last
step alone), by which values leave it. A state begins as its first input, made outside; its second input,
made behind it, is what it becomes for the next step. All ops of a loop name it in their attribute `loop`.

So the ops of a recurrent layer are plain ones, and every rule of them holds: for shapes, channels, numbers.
`ir.unrolling` writes the steps out one after the other: what a loop means is what that gives.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from toolchain.errors import BadGraph
from toolchain.ir.graph import Graph, Op

ENTRIES = frozenset({"step", "state"})
EXITS = frozenset({"sequence", "last"})


@dataclass(frozen=True, eq=False)
class Loop:
    """name:  its ops' attribute `loop`;  steps: how often
    body:  what is repeated, in order
    exits: by which values leave it
    """

    name: str
    steps: int
    body: tuple[Op, ...]
    exits: tuple[Op, ...]


Part = Op | Loop


def has_loops(graph: Graph) -> bool:
    return any(op.kind in ENTRIES for op in graph.ops)


def parts(graph: Graph) -> tuple[Part, ...]:
    """The graph's ops in an order in which each loop is one piece, and all is made before it is read.

    Raises BadGraph where loops are nested, steps differ or values leave a loop otherwise.
    """
    if not has_loops(graph):
        return graph.ops
    inside = _inside(graph)
    loops = {name: _loop(graph, name, [op for op in graph.ops if inside.get(op.name) == name])
             for name in dict.fromkeys(inside.values())}
    return _Ordering(graph, inside, loops).run()


def in_pieces(graph: Graph) -> Graph:
    """The graph with each loop's ops side by side: its body, then its exits."""
    ops = (op for part in parts(graph) for op in ops_of(part))
    return replace(graph, ops=tuple(ops)) if has_loops(graph) else graph


def ops_of(part: Part) -> tuple[Op, ...]:
    """Of a loop: what it repeats, then its exits."""
    return (*part.body, *part.exits) if isinstance(part, Loop) else (part,)


def extents(graph: Graph) -> Iterator[tuple[Loop, int, int]]:
    """Each loop of a graph in pieces, and the positions of its first and last op."""
    position = 0
    for part in parts(graph):
        count = len(ops_of(part))
        if isinstance(part, Loop):
            yield part, position, position + count - 1
        position += count


@lru_cache(maxsize=8)
def repeats(graph: Graph) -> Mapping[str, int]:
    """Op that a loop repeats -> how often."""
    loops = (part for part in parts(graph) if isinstance(part, Loop))
    return {op.name: loop.steps for loop in loops for op in loop.body}


def _inside(graph: Graph) -> dict[str, str]:
    """Op that belongs to a loop -> its name."""
    found: dict[str, str] = {}
    for op in graph.ops:
        read = op.inputs[:1] if op.kind == "state" else op.inputs
        repeated = {found[name] for name in read if name in found and not _leaves(graph, name)}
        own = {op.attrs["loop"]} if op.kind in ENTRIES | EXITS else set()
        if op.kind in ENTRIES and repeated:
            raise BadGraph(f"{op.name}: {op.kind} begins in loop {min(repeated)}; loops lie side by side")
        if len(repeated | own) > 1 or (op.kind in EXITS and repeated != own):
            where = f"is repeated by {', '.join(sorted(repeated))}" if repeated else "no loop repeats"
            raise BadGraph(f"{op.name}: {op.kind} reads what {where}; a value leaves its own loop by a "
                           f"sequence or a last op")
        if repeated or own:
            found[op.name] = next(iter(own or repeated))
    if lost := [name for name in graph.outputs if name in found and not _leaves(graph, name)]:
        raise BadGraph(f"{lost[0]}: output of the graph is repeated by loop {found[lost[0]]}")
    return found


def _leaves(graph: Graph, name: str) -> bool:
    return graph.producers[name].kind in EXITS


def _loop(graph: Graph, name: str, ops: Sequence[Op]) -> Loop:
    body = tuple(op for op in ops if op.kind not in EXITS)
    exits = tuple(op for op in ops if op.kind in EXITS)
    steps = {graph.tensors[op.inputs[0]].shape[op.attrs["axis"]] for op in body if op.kind == "step"}
    steps |= {op.attrs["steps"] for op in exits if op.kind == "sequence"}
    if len(steps) != 1:
        raise BadGraph(f"loop {name}: has {sorted(steps) or 'no number of'} steps; its sequences are as long")
    made = {op.name for op in body}
    for op in body:
        if op.kind == "state":
            _require_next(graph, op, made)
    return Loop(name, steps.pop(), body, exits)


def _require_next(graph: Graph, op: Op, made: set[str]) -> None:
    """What a state becomes is its loop's, of its own shape."""
    before, after = graph.of(op)
    if after.name not in made or (before.shape, before.dtype) != (after.shape, after.dtype):
        raise BadGraph(f"{op.name}: state {before.dtype}{before.shape} becomes {after.name} {after.dtype}"
                       f"{after.shape}; loop {op.attrs['loop']} has to make that, of one shape and dtype")


def made_first(ops: Sequence[Op]) -> tuple[Op, ...]:
    """The ops, each behind those that make what it reads (but for what a state becomes), else as they stand.
    """
    makers, done = {op.name: op for op in ops}, {}

    def place(op: Op) -> None:
        for name in op.inputs[:1] if op.kind == "state" else op.inputs:
            if name in makers and name not in done:
                place(makers[name])
        done[op.name] = op

    for op in ops:
        if op.name not in done:
            place(op)
    return tuple(done.values())


class _Ordering:
    """Each part behind all that it reads, else as the ops stand."""

    def __init__(self, graph: Graph, inside: dict[str, str], loops: dict[str, Loop]):
        self.graph, self.loops = graph, loops
        self.key_of = {op.name: ("loop", inside[op.name]) if op.name in inside else ("op", op.name)
                       for op in graph.ops}
        self.done: dict[tuple[str, str], Part] = {}
        self.begun: set[tuple[str, str]] = set()

    def run(self) -> tuple[Part, ...]:
        for key in self.key_of.values():
            self.visit(key)
        return tuple(self.done.values())

    def visit(self, key: tuple[str, str]) -> None:
        if key in self.done:
            return
        if key in self.begun:
            raise BadGraph(f"{key[1]}: depends on what is made of it outside of its loop")
        self.begun.add(key)
        part = self.loops[key[1]] if key[0] == "loop" else self.graph.producers[key[1]]
        for op in ops_of(part):
            for name in op.inputs:
                if self.key_of.get(name, key) != key:
                    self.visit(self.key_of[name])
        self.done[key] = part
