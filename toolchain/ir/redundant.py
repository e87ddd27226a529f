"""Ops that compute nothing new: neutral constants, what was computed already, slices of slices."""

from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op
from toolchain.ir.rewriting import reading, rewired, sole_pairs, until_nothing_folds, without

NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "div": 1}
"""Kind -> the second operand that changes nothing."""


def drop_neutral(graph: Graph) -> Graph:
    """Drop x + 0, x - 0, x * 1 and x / 1, as Python's sum() starts with 0."""
    def is_neutral(op: Op) -> bool:
        if op.kind not in NEUTRAL or op.attrs["activation"] is not None:
            return False
        x, value = graph.of(op)
        same = (x.shape, x.dtype) == (graph.tensors[op.name].shape, graph.tensors[op.name].dtype)
        return same and value.is_constant and bool(np.all(value.data == NEUTRAL[op.kind]))

    return without(graph, is_neutral)


def drop_repeated(graph: Graph) -> Graph:
    """Of ops that compute the same from the same, keep the first, and any that makes an output."""
    first: dict[tuple, str] = {}
    alias: dict[str, str] = {}
    ops: list[Op] = []
    for op in graph.ops:
        op = replace(op, inputs=tuple(alias.get(name, name) for name in op.inputs))
        made = first.setdefault((op.kind, op.inputs, repr(sorted(op.attrs.items()))), op.name)
        if made != op.name:
            alias[op.name] = made
        if made == op.name or op.name in graph.outputs:
            ops.append(op)
    return rewired(graph, reading(ops, alias))


@until_nothing_folds
def join_slices(graph: Graph) -> Graph:
    """A slice of a slice that nobody else reads becomes one, as x[..., ::2, 1::2] is exported."""
    joined = {}
    for first, second in sole_pairs(graph, {"slice"}, {"slice"}):
        if first.name not in joined:
            joined[second.name] = replace(second, inputs=first.inputs, attrs=_joined(first, second))
    return rewired(graph, [joined.get(op.name, op) for op in graph.ops])


def _joined(first: Op, second: Op) -> dict[str, tuple[int, ...]]:
    """begin, end and strides of both slices as one."""
    axes = zip(first.attrs["begin"], first.attrs["strides"],
               *(second.attrs[attr] for attr in ("begin", "end", "strides")))
    taken = [(at + step * begin, at + step * (end - 1) + 1, step * stride)
             for at, step, begin, end, stride in axes]
    return dict(zip(("begin", "end", "strides"), zip(*taken)))
