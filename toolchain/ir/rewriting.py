"""How passes rewrite a graph: pairs of ops that fold, ops that go."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import wraps

from toolchain.ir.graph import Graph, Op, live_ops

Pass = Callable[[Graph], Graph]


def sole_pairs(graph: Graph, first, second) -> Iterator[tuple[Op, Op]]:
    """(a, b), of kinds in `first` and `second`, where b alone reads what a makes, as its first input.

    Not where that tensor is an output of the graph.
    """
    for op in graph.ops:
        maker = graph.producers.get(op.inputs[0])
        if op.kind in second and maker is not None and maker.kind in first:
            if len(graph.consumers[maker.name]) == 1 and maker.name not in graph.outputs:
                yield maker, op


def rewired(graph: Graph, ops: list[Op]) -> Graph:
    """The graph with other ops, without those that nothing needs any more."""
    return graph.with_ops(live_ops(ops, graph.outputs))


def without(graph: Graph, dropped: Callable[[Op], bool]) -> Graph:
    """Leave out ops that hand their first input through: readers read that input instead.

    An op that makes an output of the graph stays, so that outputs keep their names.
    """
    alias: dict[str, str] = {}
    ops: list[Op] = []
    for op in graph.ops:
        if dropped(op) and op.name not in graph.outputs:
            alias[op.name] = alias.get(op.inputs[0], op.inputs[0])
        else:
            ops.append(op)
    return rewired(graph, reading(ops, alias))


def reading(ops: Iterable[Op], alias: Mapping[str, str]) -> list[Op]:
    """The ops with other inputs: old name -> new."""
    return [replace(op, inputs=tuple(alias.get(name, name) for name in op.inputs)) for op in ops]


def until_nothing_folds(fold: Pass) -> Pass:
    """The pass, run until it leaves as many ops as it found: what it folds may stand in a row."""
    @wraps(fold)
    def repeated(graph: Graph) -> Graph:
        while len((after := fold(graph)).ops) < len(graph.ops):
            graph = after
        return graph
    return repeated
