"""A graph over several samples at once, for runtimes that take shapes as they are written."""

from dataclasses import replace

from toolchain.ir.graph import Graph
from toolchain.runtime.moving import over_samples
from toolchain.runtime.reference import keeps_batch


def batched(graph: Graph, count: int) -> Graph:
    """The same network with `count` samples on axis 0 of every activation, where a Graph has 1; to be lowered
    and run, no Graph for the stages before. `can_batch` tells whether there is one."""
    if count == 1:
        return graph
    tensors = {name: t if t.is_constant else replace(t, shape=(count, *t.shape[1:]))
               for name, t in graph.tensors.items()}
    return replace(graph, tensors=tensors, ops=tuple(over_samples(op, count) for op in graph.ops))


def can_batch(graph: Graph) -> bool:
    """Whether samples on axis 0 know nothing of each other, all the way; a constant among the inputs of a
    concat, and what is made of constants alone, would have to be repeated for each."""
    joined = (t for op in graph.ops if op.kind == "concat" for t in graph.of(op))
    known = (all(t.is_constant for t in graph.of(op)) for op in graph.ops)
    return all(keeps_batch(graph, op) for op in graph.ops) and not any(t.is_constant for t in joined) \
        and not any(known)
