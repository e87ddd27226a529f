"""The layout pass: what came channels first runs channels last.

Transposes, and reshapes that only move unit axes, sink towards the outputs and cancel, or are baked into
the constants that they meet.

Doors in are literal: they put each channel op between explicit transposes. `ir.sinking` is how they sink;
here are the rules: what each kind of op does with a view.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape, Tensor
from toolchain.ir.sinking import Rule, Sinking, View, full_permutation, wide_axes

TO_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
TO_FIRST = {3: (0, 2, 1), 4: (0, 3, 1, 2)}
POINTWISE = frozenset({"relu", "relu6", "leaky_relu", "logistic", "tanh", "quantize", "dequantize"})
BINARY = frozenset({"add", "sub", "mul"})


def channels_last(graph: Graph) -> Graph:
    """Sink and cancel transposes.

    Inputs and outputs become channels last where the source was channels first; `permutations` then says so.
    """
    return _ChannelsLast(graph, RULES).run()


def transposes(graph: Graph) -> int:
    """How many transposes the graph has; after the pass each of them moves data."""
    return sum(op.kind == "transpose" for op in graph.ops)


class _ChannelsLast(Sinking):
    """Inputs that a channel op reads turned come in channels last."""

    def add_input(self, tensor: Tensor) -> None:
        """Turn the input channels last where a consumer wants it so."""
        self.keep(tensor)
        if tensor.name in self.permutations or not _wants_channels_last(self.old, tensor):
            return
        to_last, to_first = TO_LAST[len(tensor.shape)], TO_FIRST[len(tensor.shape)]
        shape = tuple(tensor.shape[axis] for axis in to_last)
        self.tensors[tensor.name] = replace(tensor, shape=shape)
        self.views[tensor.name] = View(tensor.name, to_first)
        self.permutations[tensor.name] = to_first


def _readers(graph: Graph, name: str, through: Callable[[Op], bool]) -> Iterator[Op]:
    """Each op that reads `name`, perhaps behind ops that `through` holds for, once."""
    seen, todo = {name}, [name]
    while todo:
        for op in graph.consumers[todo.pop()]:
            if op.name not in seen:
                seen.add(op.name)
                yield op
                if through(op):
                    todo.append(op.name)


def _wants_channels_last(graph: Graph, tensor: Tensor) -> bool:
    """Whether a consumer, perhaps behind layout-free ops, transposes this input to channels last."""
    def layout_free(op: Op) -> bool:
        follows = op.kind in POINTWISE | BINARY | {"pad", "concat"} or _moves_unit_axes(graph, op)
        return follows and len(graph.tensors[op.name].shape) in TO_LAST

    if len(tensor.shape) not in TO_LAST:
        return False
    for op in _readers(graph, tensor.name, layout_free):
        rank = len(graph.tensors[op.name].shape)
        turned = op.kind == "transpose" and op.attrs["perm"] == TO_LAST[rank]
        if turned and (rank == 4 or not _turned_back(graph, op.name)):
            return True
    return False


def _turned_back(graph: Graph, name: str) -> bool:
    """Whether all that reads a turned sequence turns it again: then [N, L, C] came in, not [N, C, L]."""
    def keeps_axes(op: Op) -> bool:
        return op.kind in POINTWISE | {"pad"}

    return all(op.kind == "transpose" or keeps_axes(op) for op in _readers(graph, name, keeps_axes))


def _moves_unit_axes(graph: Graph, op: Op) -> bool:
    """Whether the op is a reshape between [N, C, L] and [N, C, 1, L], say."""
    shapes = (graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape)
    return op.kind == "reshape" and _sizes(shapes[0]) == _sizes(shapes[1])


def _sizes(shape: Shape) -> list[int]:
    return [shape[axis] for axis in wide_axes(shape)]


# Rules: each returns whether it handled the op; if not, the op runs on materialised inputs ------------------

def _transpose(pass_: Sinking, op: Op) -> bool:
    pass_.see(op, pass_.views[op.inputs[0]].transposed(op.attrs["perm"]).axes)
    return True


def _reshape(pass_: Sinking, op: Op) -> bool:
    old, new = pass_.shape(op.inputs[0]), pass_.shape(op.name)
    view = pass_.views[op.inputs[0]]
    if not _moves_unit_axes(pass_.old, op):
        return _flatten(pass_, op, view)
    source = dict(zip(wide_axes(new), wide_axes(old)))
    pass_.see(op, tuple(view.axes[source[axis]] if axis in source else None for axis in range(len(new))))
    return True


def _flatten(pass_: Sinking, op: Op, view: View) -> bool:
    """[N, C, H, W] -> [N, C * H * W] -> fully connected: flatten as it lies, reorder the weights' columns."""
    base, shape = pass_.tensors[view.base], pass_.shape(op.name)
    if len(shape) != 2 or pass_.is_identity(view) or not _feeds_fully_connected(pass_.old, op.name):
        return False
    if view.axes[0] != 0 or base.shape[0] != shape[0]:
        return False
    inner = np.arange(base.size).reshape(base.shape)
    order = np.transpose(inner, full_permutation(view.axes, base.shape)).ravel()
    pass_.emit(op, [view.base])
    pass_.column_order[op.name] = np.argsort(order)
    return True


def _feeds_fully_connected(graph: Graph, name: str) -> bool:
    """Whether all that reads `name`, perhaps behind pointwise ops, is fully connected with known weights."""
    def pointwise(op: Op) -> bool:
        return op.kind in POINTWISE

    readers = list(_readers(graph, name, pointwise))
    between = [name, *(op.name for op in readers if pointwise(op))]
    return all(graph.consumers[n] and n not in graph.outputs for n in between) and all(
        pointwise(op) or (op.kind == "fully_connected" and _is_baked(graph, op.inputs[1])) for op in readers)


def _is_baked(graph: Graph, name: str) -> bool:
    """Whether `name` is a constant, perhaps behind ops that the pass bakes into it."""
    op = graph.producers.get(name)
    while op is not None and (op.kind == "transpose" or _moves_unit_axes(graph, op)):
        name = op.inputs[0]
        op = graph.producers.get(name)
    return graph.tensors[name].is_constant


def _fully_connected(pass_: Sinking, op: Op) -> bool:
    order = pass_.column_order.get(op.inputs[0])
    if order is None:
        return False
    x, weight, bias = op.inputs
    weight, bias = (pass_.materialise(pass_.views[name]) for name in (weight, bias))
    rows = pass_.tensors[weight]
    moved = pass_.bake(rows, rows.data[:, order], (0, 1))
    pass_.emit(op, [pass_.views[x].base, moved, bias])
    return True


def _pointwise(pass_: Sinking, op: Op) -> bool:
    view = pass_.views[op.inputs[0]]
    pass_.emit(op, [view.base], view_axes=view.axes)
    if op.inputs[0] in pass_.column_order:
        pass_.column_order[op.name] = pass_.column_order[op.inputs[0]]
    return True


def _binary(pass_: Sinking, op: Op) -> bool:
    """Run in the layout of the larger operand, if the other one can follow without moving data."""
    lead = max(op.inputs, key=lambda name: (not pass_.old.tensors[name].is_constant, len(pass_.shape(name)),
                                            pass_.old.tensors[name].size))
    view = pass_.views[lead]
    rank = len(pass_.tensors[view.base].shape)
    inputs = [view.base if name == lead else pass_.in_axes(name, view.axes, rank) for name in op.inputs]
    if None in inputs or len(pass_.shape(op.name)) != len(view.axes):
        return False
    pass_.emit(op, inputs, view_axes=view.axes)
    return True


def _softmax(pass_: Sinking, op: Op) -> bool:
    view = pass_.views[op.inputs[0]]
    if view.axes[-1] != len(pass_.tensors[view.base].shape) - 1:
        return False
    return _pointwise(pass_, op)


def _mean(pass_: Sinking, op: Op) -> bool:
    """Average the base with its axes kept; the view drops them where the op does."""
    view, axes = pass_.views[op.inputs[0]], op.attrs["axes"]
    inner = tuple(sorted(view.axes[a] for a in axes if view.axes[a] is not None))
    kept = tuple(axis for k, axis in enumerate(view.axes) if op.attrs["keepdims"] or k not in axes)
    if not inner or pass_.is_identity(view):
        return False
    pass_.emit(op, [view.base], view_axes=kept, axes=inner, keepdims=True)
    return True


def _pad(pass_: Sinking, op: Op) -> bool:
    view, pads = pass_.views[op.inputs[0]], op.attrs["pads"]
    if any(axis is None and pad != (0, 0) for axis, pad in zip(view.axes, pads)):
        return False
    inner = {axis: pad for axis, pad in zip(view.axes, pads)}
    rank = len(pass_.tensors[view.base].shape)
    pads = tuple(inner.get(axis, (0, 0)) for axis in range(rank))
    pass_.emit(op, [view.base], view_axes=view.axes, pads=pads)
    return True


def _concat(pass_: Sinking, op: Op) -> bool:
    for lead in op.inputs:
        view = pass_.views[lead]
        axis, rank = view.axes[op.attrs["axis"]], len(pass_.tensors[view.base].shape)
        inputs = [pass_.in_axes(name, view.axes, rank) for name in op.inputs]
        if axis is not None and None not in inputs:
            pass_.emit(op, inputs, view_axes=view.axes, axis=axis)
            return True
    return False


RULES: Mapping[str, Rule] = {
    "transpose": _transpose,
    "reshape": _reshape,
    "fully_connected": _fully_connected,
    "softmax": _softmax,
    "mean": _mean,
    "pad": _pad,
    "concat": _concat,
    **dict.fromkeys(POINTWISE, _pointwise),
    **dict.fromkeys(BINARY, _binary),
}
