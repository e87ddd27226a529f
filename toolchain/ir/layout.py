"""The layout pass: what came channels first runs channels last.

Transposes, and reshapes that only move unit axes, sink towards the outputs and cancel, or are baked into
the constants that they meet.

Doors in are literal: they put each channel op between explicit transposes. Here every tensor of the source
graph is a View of a tensor of the new graph, and a view op emits nothing. An op that does not care about
layout runs on the viewed tensors; one that does gets its input materialised, at most once for each layout.

Names: what holds ':' is scaffolding of a door; a tensor that a view gives a plain name takes that name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Tensor, constant, live_ops, unique_name
from toolchain.ir.ops import make, output_shape

TO_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
TO_FIRST = {3: (0, 2, 1), 4: (0, 3, 1, 2)}
POINTWISE = frozenset({"relu", "relu6", "leaky_relu", "logistic", "tanh", "quantize", "dequantize"})
MOVED = ":moved"
BINARY = frozenset({"add", "sub", "mul"})

Axes = tuple[int | None, ...]


@dataclass(frozen=True)
class View:
    """A tensor as another one seen through moved axes.

    axes: for each axis of the viewed value, the axis of `base` it walks along, or None for a unit axis that
          base has not. Axes of base not named here have size 1. Axis 0, the batch, is never a unit axis.
    """

    base: str
    axes: Axes

    def transposed(self, perm: tuple[int, ...]) -> "View":
        """The viewed value transposed by `perm`."""
        return View(self.base, tuple(self.axes[axis] for axis in perm))


def channels_last(graph: Graph) -> Graph:
    """Sink and cancel transposes.

    Inputs and outputs become channels last where the source was channels first; `permutations` then says so.
    """
    return Sinking(graph).run()


def transposes(graph: Graph) -> int:
    """How many transposes the graph has; after the pass each of them moves data."""
    return sum(op.kind == "transpose" for op in graph.ops)


class Sinking:
    """The new graph in the making, and a View for each tensor of the old one."""

    def __init__(self, graph: Graph):
        self.old = graph
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.views: dict[str, View] = {}
        self.made: dict[View, str] = {}
        self.column_order: dict[str, np.ndarray] = {}
        self.plain_names: dict[str, str] = {}
        self.permutations = dict(graph.permutations)
        self.claimed: set[str] = set()
        for tensor in graph.constants:
            self.keep(tensor)
        for name in graph.inputs:
            self.add_input(graph.tensors[name])

    def run(self) -> Graph:
        for op in self.old.ops:
            self.visit(op)
        return self.finish()

    def keep(self, tensor: Tensor) -> None:
        self.tensors[tensor.name] = tensor
        self.views[tensor.name] = View(tensor.name, tuple(range(len(tensor.shape))))

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

    def visit(self, op: Op) -> None:
        rule = RULES.get(op.kind)
        if rule is None or not rule(self, op):
            self.emit(op, [self.materialise(self.views[name]) for name in op.inputs])

    def emit(self, op: Op, inputs: list[str], *, view_axes: Axes | None = None, **attrs) -> None:
        """Append `op` on `inputs`, with `attrs` changed.

        view_axes: the axes that its old output shows of the new one; None: as it is
        """
        changed = make(op.kind, inputs, op.name, **{**op.attrs, **attrs})
        shape = output_shape(changed, [self.tensors[name].shape for name in inputs])
        self.ops.append(changed)
        self.tensors[op.name] = replace(self.old.tensors[op.name], shape=shape)
        self.views[op.name] = View(op.name, tuple(range(len(shape))) if view_axes is None else view_axes)

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor of the old graph."""
        return self.old.tensors[name].shape

    def see(self, op: Op, axes: Axes) -> None:
        """The output of a view op is its input's base seen through `axes`.

        A plain name passes to a base that has none.
        """
        base = self.views[op.inputs[0]].base
        self.views[op.name] = View(base, axes)
        if ":" in self.plain_names.get(base, base) and ":" not in op.name:
            self.plain_names[base] = op.name

    def is_identity(self, view: View) -> bool:
        return view.axes == tuple(range(len(self.tensors[view.base].shape)))

    def materialise(self, view: View) -> str:
        """Name of a tensor that holds the viewed value itself.

        It is the base, or a reshape, a transpose or a constant that is made once.
        """
        if self.is_identity(view):
            return view.base
        if view not in self.made:
            self.made[view] = self._moved(self.tensors[view.base], view.axes)
        return self.made[view]

    def _moved(self, base: Tensor, axes: Axes) -> str:
        shape = tuple(1 if axis is None else base.shape[axis] for axis in axes)
        perm = full_permutation(axes, base.shape)
        if base.is_constant:
            return self.bake(base, np.transpose(base.data, perm).reshape(shape), axes)
        name = base.name
        if moves_data(perm, base.shape):
            name = self._view_op("transpose", name, perm=perm)
        if self.tensors[name].shape != shape:
            name = self._view_op("reshape", name, shape=shape)
        return name

    def bake(self, base: Tensor, data: np.ndarray, axes: Axes) -> str:
        """Name of a new constant with `data`: those of the constant `base` moved along `axes`."""
        quant = base.quant
        if quant is not None and quant.axis is not None:
            quant = replace(quant, axis=axes.index(quant.axis))
        name = self._unique(base.name + MOVED)
        self.tensors[name] = constant(name, np.ascontiguousarray(data), quant)
        return name

    def _view_op(self, kind: str, source: str, **attrs) -> str:
        name = self._unique(f"{source}:{kind}")
        op = make(kind, [source], name, **attrs)
        self.ops.append(op)
        tensor = self.tensors[source]
        self.tensors[name] = Tensor(name, output_shape(op, [tensor.shape]), tensor.dtype, None, tensor.quant)
        return name

    def _unique(self, name: str) -> str:
        return unique_name(name, self.tensors, self.old.tensors)

    def in_axes(self, name: str, axes: Axes, rank: int) -> str | None:
        """A tensor of `rank` axes of which old tensor `name` is the view through `axes`.

        None where that would move data or cannot be. Constants may always be moved; a shorter shape is
        aligned at the end, as broadcasting does.
        """
        view, shape = self.views[name], self.shape(name)
        base = self.tensors[view.base]
        padded = (None,) * (len(axes) - len(view.axes)) + view.axes
        lost = any(a is None and n != 1 for a, n in zip(reversed(axes), reversed(shape)))
        if lost or len(padded) > len(axes):
            return None
        wanted: Axes = tuple(padded[axes.index(i)] if i in axes else None for i in range(rank))
        if base.is_constant:
            broadcasts = base.size == 1 and len(base.shape) <= rank
            return base.name if broadcasts else self.materialise(View(base.name, wanted))
        return None if moves_data(wanted, base.shape) else self.materialise(View(base.name, wanted))

    def finish(self) -> Graph:
        for name in self.old.outputs:
            self.finish_output(name)
        old = self.old
        graph = Graph(old.name, self.tensors, tuple(self.ops), old.inputs, (), source=old.source)
        graph = graph.renamed({made: name for made, name in self.plain_names.items() if made in self.tensors})
        graph = replace(graph, outputs=old.outputs, permutations=self.permutations)
        graph = graph.with_ops(live_ops(graph.ops, graph.outputs))
        return graph.renamed(_names_of_moved(graph))

    def finish_output(self, name: str) -> None:
        """Hand the output out as it lies if it only permutes an op's result, else materialise it."""
        view = self.views[name]
        permuted = None not in view.axes and len(view.axes) == len(self.tensors[view.base].shape)
        if not (permuted and self.is_free(view.base)):
            return self.hand_out(name, self.materialise(view))
        if name in self.permutations:
            view = view.transposed(self.permutations.pop(name))
        if not self.is_identity(view):
            self.permutations[name] = view.axes
        self.hand_out(name, view.base)

    def hand_out(self, name: str, made: str) -> None:
        """Call `made` by the output's name; where that cannot be, because it is taken, a copy of it."""
        if not self.is_free(made):
            made = self._view_op("reshape", made, shape=self.tensors[made].shape)
        self.claimed.add(made)
        self.plain_names = {base: plain for base, plain in self.plain_names.items() if plain != name}
        if made != name:
            if name in self.tensors:
                self.plain_names.setdefault(name, self._unique(f"{name}:inner"))
            self.plain_names[made] = name

    def is_free(self, made: str) -> bool:
        """Whether an op makes this tensor and no graph output has taken it yet."""
        return not (made in self.old.inputs or made in self.claimed or self.tensors[made].is_constant)


def _names_of_moved(graph: Graph) -> dict[str, str]:
    """Moved constants -> the name of the one that it was, where that is gone and no other took it."""
    free: dict[str, str] = {}
    for moved in graph.tensors:
        name = moved.partition(MOVED)[0]
        if name not in graph.tensors:
            free.setdefault(name, moved)
    return {moved: name for name, moved in free.items()}


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


def _sizes(shape: tuple[int, ...]) -> list[int]:
    return [shape[axis] for axis in wide_axes(shape)]


def wide_axes(shape: tuple[int, ...]) -> list[int]:
    """The axes that can hold more than one value: the batch, and those that are not unit."""
    return [axis for axis, n in enumerate(shape) if axis == 0 or n != 1]


def moves_data(axes: Axes, shape: tuple[int, ...]) -> bool:
    """Whether walking a tensor of `shape` along `axes` reads its values in another order than they lie."""
    walked = [axis for axis in axes if axis in wide_axes(shape)]
    return walked != sorted(walked)


def full_permutation(axes: Axes, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Every axis of `shape` in the order of `axes`, unnamed unit axes filling the gaps and then the end."""
    spare = [axis for axis in range(len(shape)) if axis not in axes]
    order = [axis if axis is not None else (spare.pop(0) if spare else None) for axis in axes]
    return tuple(axis for axis in (*order, *spare) if axis is not None)


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


RULES: Mapping[str, Callable[[Sinking, Op], bool]] = {
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
