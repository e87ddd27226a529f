"""Transposes sink: views of tensors instead of ops that move them.

Every tensor of the old graph is a View of a tensor of the new one, and an op that only moves axes emits
nothing. An op that does not care about layout runs on the viewed tensors; one that does gets its input
materialised, at most once for each layout. Which op does what is in the rules that a pass hands in.

Names: what holds ':' is scaffolding of a door; a tensor that a view gives a plain name takes that name.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from toolchain.ir.graph import Graph, Op, Shape, Tensor, constant, live_ops, unique_name
from toolchain.ir.ops import make, output_shape

MOVED = ":moved"
"""Ends the name of a constant that was moved, until it can have that of the one it replaces."""

Axes = tuple[int | None, ...]
Rule = Callable[["Sinking", Op], bool]
"""How one kind of op passes through views, and whether it did: else it runs on materialised inputs."""


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


class Sinking:
    """The new graph in the making, and a View for each tensor of the old one.

    rules:         op kind -> Rule; a kind without one runs on materialised inputs
    feature_order: flat tensors whose features lie in another order than in the old graph -> for each
                   feature as it lies, where it was
    lies:          rank -> how the pass lays an image or a sequence that it turns
    """

    lies: Mapping[int, tuple[int, ...]] = {}

    def __init__(self, graph: Graph, rules: Mapping[str, Rule]):
        self.old = graph
        self.rules = rules
        self.tensors: dict[str, Tensor] = {}
        self.ops: list[Op] = []
        self.views: dict[str, View] = {}
        self.made: dict[View, str] = {}
        self.feature_order: dict[str, np.ndarray] = {}
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

    def turns(self, tensor: Tensor) -> bool:
        """Whether the pass lays this image or sequence as `lies` says."""
        return False

    def keep(self, tensor: Tensor) -> None:
        self.tensors[tensor.name] = tensor
        self.views[tensor.name] = View(tensor.name, tuple(range(len(tensor.shape))))

    def add_input(self, tensor: Tensor) -> None:
        """Take an input of the old graph over as it lies; a pass may turn it."""
        self.keep(tensor)

    def visit(self, op: Op) -> None:
        rule = self.rules.get(op.kind)
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

    def shape(self, name: str) -> Shape:
        """Shape of a tensor of the old graph."""
        return self.old.tensors[name].shape

    def see(self, op: Op, axes: Axes) -> None:
        """The output of a view op is its input's base seen through `axes`.

        A plain name passes to a base that has none.
        """
        base = self.views[op.inputs[0]].base
        self.views[op.name] = View(base, axes)
        nameless = base not in self.old.inputs and ":" in self.plain_names.get(base, base)
        if nameless and ":" not in op.name:
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
        self.finish_states()
        for name in self.old.outputs:
            self.finish_output(name)
        old = self.old
        graph = Graph(old.name, self.tensors, tuple(self.ops), old.inputs, (), source=old.source,
                      metadata=old.metadata)
        graph = graph.renamed({made: name for made, name in self.plain_names.items() if made in self.tensors})
        graph = replace(graph, outputs=old.outputs, permutations=self.permutations)
        graph = graph.with_ops(live_ops(graph.ops, graph.outputs))
        return graph.renamed(_names_of_moved(graph))

    def finish_states(self) -> None:
        """What a state becomes is made behind it."""
        becomes = {op.name: self.materialise(self.views[op.inputs[1]])
                   for op in self.old.ops if op.kind == "state"}
        self.ops = [replace(op, inputs=(op.inputs[0], becomes[op.name])) if op.kind == "state" else op
                    for op in self.ops]

    def finish_output(self, name: str) -> None:
        """Hand the output out as it lies, without unit axes that it has not, if it only permutes an op's
        result; else materialise it.

        An input that is an output too stays what it is.
        """
        if name in self.old.inputs:
            return None
        view = self.views[name]
        if None in view.axes or not self.is_free(view.base):
            return self.hand_out(name, self.materialise(view))
        made = self.materialise(View(view.base, tuple(sorted(view.axes))))
        if name in self.permutations:
            view = view.transposed(self.permutations.pop(name))
        if view.axes != tuple(sorted(view.axes)):
            self.permutations[name] = tuple(sorted(view.axes).index(axis) for axis in view.axes)
        self.hand_out(name, made)

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


def wide_axes(shape: Shape) -> list[int]:
    """The axes that can hold more than one value: the batch, and those that are not unit."""
    return [axis for axis, n in enumerate(shape) if axis == 0 or n != 1]


def moves_data(axes: Axes, shape: Shape) -> bool:
    """Whether walking a tensor of `shape` along `axes` reads its values in another order than they lie."""
    walked = [axis for axis in axes if axis in wide_axes(shape)]
    return walked != sorted(walked)


def full_permutation(axes: Axes, shape: Shape) -> tuple[int, ...]:
    """Every axis of `shape` in the order of `axes`, unnamed unit axes filling the gaps and then the end."""
    spare = [axis for axis in range(len(shape)) if axis not in axes]
    order = [axis if axis is not None else (spare.pop(0) if spare else None) for axis in axes]
    return tuple(axis for axis in (*order, *spare) if axis is not None)
