"""Take channels out of a graph: constants are sliced, shapes follow from the shape rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.ops import output_shape
from toolchain.prune.groups import Group

Kept = Mapping[tuple[str, int], np.ndarray]
"""(tensor, axis) -> which of its elements stay, bool."""


def kept_elements(graph: Graph, cuts: Sequence[tuple[Group, np.ndarray]]) -> Kept:
    """What stays where these channels of these groups go."""
    kept: dict[tuple[str, int], np.ndarray] = {}
    for group, channels in cuts:
        gone = np.zeros(group.channels, bool)
        gone[channels] = True
        for member in group.members:
            size = graph.tensors[member.tensor].shape[member.axis]
            stays = kept.setdefault((member.tensor, member.axis), np.ones(size, bool))
            stays[member.index[gone[member.channel]]] = False
    return kept


def sliced(graph: Graph, kept: Kept) -> Graph:
    """The smaller graph: same ops, same names."""
    tensors = {name: _sliced_constant(t, kept) if t.is_constant else t for name, t in graph.tensors.items()}
    ops = []
    for op in graph.ops:
        op = _resized(op, kept)
        shape = output_shape(op, [tensors[name].shape for name in op.inputs])
        tensors[op.name] = replace(tensors[op.name], shape=shape)
        ops.append(op)
    return replace(graph, tensors=tensors, ops=tuple(ops))


def _sliced_constant(tensor: Tensor, kept: Kept) -> Tensor:
    data = tensor.data
    for axis in range(data.ndim):
        if (tensor.name, axis) in kept:
            data = np.compress(kept[tensor.name, axis], data, axis)
    return replace(tensor, shape=data.shape, data=np.ascontiguousarray(data))


def _resized(op: Op, kept: Kept) -> Op:
    """A reshape names its output's size, a slice where it begins and ends."""
    if op.kind == "slice":
        return _resized_slice(op, kept)
    if op.kind != "reshape":
        return op
    shape = tuple(int(kept[op.name, axis].sum()) if (op.name, axis) in kept else size
                  for axis, size in enumerate(op.attrs["shape"]))
    return replace(op, attrs={**op.attrs, "shape": shape})


def _resized_slice(op: Op, kept: Kept) -> Op:
    """Begin and end counted in what stays; only axes with stride 1 lose anything."""
    bounds = {name: list(op.attrs[name]) for name in ("begin", "end")}
    for (tensor, axis), stays in kept.items():
        if tensor == op.inputs[0]:
            for values in bounds.values():
                values[axis] = int(stays[:values[axis]].sum())
    return replace(op, attrs={**op.attrs, **{name: tuple(values) for name, values in bounds.items()}})
