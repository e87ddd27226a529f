"""Features of a matrix that are an image's values: flattened as they lie, and the matrices reordered.

[N, C, H, W] -> [N, C * H * W] -> fully connected reorders the columns of the weights, and fully connected ->
[N, C * H * W] -> [N, C, H, W] their rows. A pass says which images it turns, and how they lie then.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape
from toolchain.ir.readers import POINTWISE, moves_unit_axes, readers_of
from toolchain.ir.reshaping import reshape_view
from toolchain.ir.sinking import Rule, Sinking, View, full_permutation, wide_axes


def _reshape(pass_: Sinking, op: Op) -> bool:
    old, new = pass_.shape(op.inputs[0]), pass_.shape(op.name)
    view = pass_.views[op.inputs[0]]
    if op.inputs[0] in pass_.feature_order:
        return _unflatten(pass_, op, view)
    if not moves_unit_axes(pass_.old, op):
        return _flatten(pass_, op, view) or reshape_view(pass_, op)
    source = dict(zip(wide_axes(new), wide_axes(old)))
    pass_.see(op, tuple(view.axes[source[axis]] if axis in source else None for axis in range(len(new))))
    return True


def _flatten(pass_: Sinking, op: Op, view: View) -> bool:
    """[N, C, H, W] -> [N, C * H * W] -> fully connected: flatten as it lies."""
    base, shape = pass_.tensors[view.base], pass_.shape(op.name)
    if len(shape) != 2 or pass_.is_identity(view) or not _feeds_fully_connected(pass_.old, op.name):
        return False
    if view.axes[0] != 0 or base.shape[0] != shape[0]:
        return False
    sample = np.arange(shape[1]).reshape(1, *base.shape[1:])
    order = np.transpose(sample, full_permutation(view.axes, base.shape)).ravel()
    pass_.emit(op, [view.base])
    pass_.feature_order[op.name] = np.argsort(order)
    return True


def _unflatten(pass_: Sinking, op: Op, view: View) -> bool:
    """The features lie as the pass wants the image already."""
    shape = pass_.shape(op.name)
    lies = pass_.lies[len(shape)]
    shown = tuple(int(axis) for axis in np.argsort(lies))
    pass_.emit(op, [view.base], view_axes=shown, shape=tuple(shape[axis] for axis in lies))
    return True


def _keeps_features(graph: Graph, op: Op) -> bool:
    """Whether the op works feature by feature and can follow their order."""
    known = all(graph.tensors[name].is_constant for name in op.inputs[1:])
    return op.kind in POINTWISE or (op.kind == "batch_norm" and known)


def _ends(graph: Graph, name: str) -> list[Op]:
    """What reads the features of `name` in their order, behind ops that keep them.

    [] where one of those is an output or read by nothing.
    """
    readers = list(readers_of(graph, name, lambda op: _keeps_features(graph, op)))
    between = [name, *(op.name for op in readers if _keeps_features(graph, op))]
    if any(n in graph.outputs or not graph.consumers[n] for n in between):
        return []
    return [op for op in readers if not _keeps_features(graph, op)]


def _feeds_fully_connected(graph: Graph, name: str) -> bool:
    """Whether all that reads `name` in the end is fully connected with known weights."""
    ends = _ends(graph, name)
    return bool(ends) and all(op.kind == "fully_connected" and _is_baked(graph, op.inputs[1]) for op in ends)


def _image_of(pass_: Sinking, name: str) -> Shape | None:
    """The shape of an image or a sequence that all that reads `name` gives it, where the pass turns those."""
    graph = pass_.old
    ends = _ends(graph, name)
    found = {graph.tensors[op.name].shape for op in ends if op.kind == "reshape"}
    turned = all(op.kind == "reshape" and pass_.turns(graph.tensors[op.name]) for op in ends)
    return found.pop() if turned and len(found) == 1 else None


def _is_baked(graph: Graph, name: str) -> bool:
    """Whether `name` is a constant, perhaps behind ops that the pass bakes into it."""
    op = graph.producers.get(name)
    while op is not None and (op.kind == "transpose" or moves_unit_axes(graph, op)):
        name = op.inputs[0]
        op = graph.producers.get(name)
    return graph.tensors[name].is_constant


def _fully_connected(pass_: Sinking, op: Op) -> bool:
    """Columns in the order of the features that it reads, rows in the order of those that it makes."""
    columns, rows = pass_.feature_order.get(op.inputs[0]), _row_order(pass_, op)
    if columns is None and rows is None:
        return False
    x, weight, bias = op.inputs
    weight, bias = (pass_.materialise(pass_.views[name]) for name in (weight, bias))
    if columns is not None:
        weight = _baked(pass_, weight, pass_.tensors[weight].data[:, columns])
    if rows is not None:
        weight, bias = (_in_rows(pass_, name, rows) for name in (weight, bias))
        pass_.feature_order[op.name] = rows
    pass_.emit(op, [pass_.materialise(pass_.views[x]), weight, bias])
    return True


def _row_order(pass_: Sinking, op: Op) -> np.ndarray | None:
    """For each feature as it lies in the turned image, which it was; None where the op's result is none."""
    shape = _image_of(pass_, op.name)
    known = all(_is_baked(pass_.old, name) for name in op.inputs[1:])
    if shape is None or not known or shape[0] != pass_.shape(op.name)[0]:
        return None
    given, turned = shape[1:], [axis - 1 for axis in pass_.lies[len(shape)][1:]]
    return np.arange(np.prod(given)).reshape(given).transpose(turned).ravel()


def _in_rows(pass_: Sinking, name: str, rows: np.ndarray) -> str:
    """The constant with its rows in another order, their scales too."""
    tensor, quant = pass_.tensors[name], pass_.tensors[name].quant
    if quant is not None and quant.axis == 0:
        quant = replace(quant, scale=quant.scale[rows], zero_point=quant.zero_point[rows])
    return pass_.bake(replace(tensor, quant=quant), tensor.data[rows], tuple(range(len(tensor.shape))))


def _baked(pass_: Sinking, name: str, data: np.ndarray) -> str:
    return pass_.bake(pass_.tensors[name], data, tuple(range(data.ndim)))


def _batch_norm(pass_: Sinking, op: Op) -> bool:
    """Parameters in the order of the features; anything else runs on its input as it is."""
    order = pass_.feature_order.get(op.inputs[0])
    if order is None:
        return False
    x, *parameters = op.inputs
    moved = [_baked(pass_, name, pass_.tensors[name].data[order]) for name in parameters]
    pass_.emit(op, [pass_.views[x].base, *moved])
    pass_.feature_order[op.name] = order
    return True


def _pointwise(pass_: Sinking, op: Op) -> bool:
    view = pass_.views[op.inputs[0]]
    pass_.emit(op, [view.base], view_axes=view.axes)
    if op.inputs[0] in pass_.feature_order:
        pass_.feature_order[op.name] = pass_.feature_order[op.inputs[0]]
    return True


FLATTENING: Mapping[str, Rule] = {
    "reshape": _reshape,
    "fully_connected": _fully_connected,
    "batch_norm": _batch_norm,
    **dict.fromkeys(POINTWISE, _pointwise),
}
