"""Take channels out of a graph: constants are sliced, shapes follow from the shape rules."""

from collections.abc import Callable, Mapping, Sequence
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
        if op.kind == "gather" and (op.inputs[0], op.attrs["axis"]) in kept:
            tensors[op.inputs[1]] = _renumbered(tensors[op.inputs[1]], kept[op.inputs[0], op.attrs["axis"]])
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
    return replace(tensor, shape=data.shape, data=np.asarray(data, order="C"))  # a scalar stays one


def _renumbered(indices: Tensor, stays: np.ndarray) -> Tensor:
    """Indices of what stays, counted in what stays."""
    return replace(indices, data=(np.cumsum(stays) - 1)[indices.data].astype(indices.dtype))


def _resized(op: Op, kept: Kept) -> Op:
    """The op with its attributes that count elements counted in what stays."""
    return replace(op, attrs={**op.attrs, **RESIZED[op.kind](op, kept)}) if op.kind in RESIZED else op


def _reshape(op: Op, kept: Kept) -> dict[str, tuple]:
    return {"shape": tuple(int(kept[op.name, axis].sum()) if (op.name, axis) in kept else size
                           for axis, size in enumerate(op.attrs["shape"]))}


def _slice(op: Op, kept: Kept) -> dict[str, tuple]:
    """Only axes with stride 1 lose anything."""
    return {name: tuple(int(kept[op.inputs[0], axis][:value].sum()) if (op.inputs[0], axis) in kept else value
                        for axis, value in enumerate(op.attrs[name])) for name in ("begin", "end")}


def _pad(op: Op, kept: Kept) -> dict[str, tuple]:
    """Of what is added on both sides, what stays."""
    def left(axis: int, before: int, after: int) -> tuple[int, int]:
        stays = kept.get((op.name, axis))
        if stays is None:
            return before, after
        return int(stays[:before].sum()), int(stays[len(stays) - after:].sum())

    return {"pads": tuple(left(axis, *pads) for axis, pads in enumerate(op.attrs["pads"]))}


RESIZED: Mapping[str, Callable[[Op, Kept], dict[str, tuple]]] = {
    "reshape": _reshape, "slice": _slice, "pad": _pad}
"""Kinds whose attributes count elements -> those attributes after a cut."""
