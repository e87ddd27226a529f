"""Take channels out of a graph: constants are sliced, shapes follow from the shape rules."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from toolchain.ir.elements import links_of
from toolchain.ir.graph import Graph, Op, Tensor, constant
from toolchain.ir.ops import make, output_shape
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


def masked(graph: Graph, kept: Kept) -> Graph:
    """The graph in full size, but an op that ends a channel reads zeros where that channel would be cut.

    This is what the sliced graph must compute.
    """
    ops, tensors = [], {}
    for op in graph.ops:
        inputs = list(op.inputs)
        for position, name in enumerate(op.inputs):
            axes = [axis for axis in _ending_axes(graph, op, name) if (name, axis) in kept]
            for axis in axes:
                inputs[position] = f"{name}:masked{axis}"
                if inputs[position] not in tensors:
                    ops.append(_mask(graph.tensors[name], axis, kept[name, axis], tensors))
        ops.append(replace(op, inputs=tuple(inputs)))
    return graph.with_tensors(*tensors.values()).with_ops(ops)


def _ending_axes(graph: Graph, op: Op, name: str) -> list[int]:
    """Axes of an activation whose channels do not go on into the op's output."""
    if graph.tensors[name].is_constant:
        return []
    ends = [link for link in links_of(graph, op) if not any(slot.tensor in op.outputs for slot in link)]
    return [slot.axis for link in ends for slot in link if slot.tensor == name]


def _mask(tensor: Tensor, axis: int, stays: np.ndarray, tensors: dict[str, Tensor]) -> Op:
    """tensor * mask, its parts added to `tensors`."""
    name = f"{tensor.name}:masked{axis}"
    shape = [1] * len(tensor.shape)
    shape[axis] = -1
    tensors[f"{name}:mask"] = constant(f"{name}:mask", stays.astype(np.float32).reshape(shape))
    tensors[name] = replace(tensor, name=name)
    return make("mul", (tensor.name, f"{name}:mask"), name)
