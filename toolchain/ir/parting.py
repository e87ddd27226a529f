"""Parts of a tensor's channels, as queries, keys and values are, sliced where they are made.

[.., 3 * K] -> [.., 3, K] -> slices: all three lie on one axis of K, and no coordinate of it could go from one
of them alone. [.., 3 * K] -> slices of K each: each has an axis of its own. `ir.slicing` is the way back.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

from toolchain.ir.graph import Graph, Op, Shape, Tensor, unique_name
from toolchain.ir.ops import make, output_shape
from toolchain.ir.reshaping import blocks
from toolchain.ir.rewriting import rewired


@dataclass(frozen=True)
class _Cut:
    """The coordinates that a part has of an axis."""

    axis: int
    begin: int
    end: int

    @property
    def size(self) -> int:
        return self.end - self.begin

    def of(self, shape: Shape) -> Shape:
        """What the part has of a shape, without the axis where it has one coordinate of it."""
        left = (self.size,) if self.size > 1 else ()
        return (*shape[:self.axis], *left, *shape[self.axis + 1:])

    def order(self, perm: Sequence[int]) -> tuple[int, ...]:
        """A permutation of the shape's axes as one of the part's."""
        if self.size > 1:
            return tuple(perm)
        return tuple(axis - (axis > self.axis) for axis in perm if axis != self.axis)


def slice_where_made(graph: Graph) -> Graph:
    """Slices of a tensor that is another one behind reshapes and a transpose, and that nothing else reads:
    where they part the other one's last axis, slices of that, each with reshapes and a transpose of its own.

    Parts are turned one by one only where `ir.slicing` can turn them together again.
    """
    tensors, made = dict(graph.tensors), {}
    for name in graph.tensors:
        if views := _views_ahead(graph, name):
            for part, cuts in _parts(graph, name, views):
                made[part.name] = _named(graph, part, views, cuts, tensors)
    ops = [new for op in graph.ops for new in made.get(op.name, [op])]
    return rewired(replace(graph, tensors=tensors), ops)


def _views_ahead(graph: Graph, name: str) -> list[Op]:
    """The reshapes and transposes between a tensor and the one that they only show otherwise; [] where
    something else reads what lies between."""
    views: list[Op] = []
    while (op := graph.producers.get(name)) is not None and op.kind in ("reshape", "transpose"):
        views.insert(0, op)
        name = op.inputs[0]
    between = [view.inputs[0] for view in views]
    sole = all(len(graph.consumers[each]) == 1 and each not in graph.outputs for each in between)
    return views if sole and not graph.tensors[name].is_constant else []


def _parts(graph: Graph, name: str, views: Sequence[Op]) -> list[tuple[Op, list[_Cut]]]:
    """Every slice that reads the tensor, and what it has of the input of each view and of the tensor itself;
    [] where one is something else, or has no coordinates in a row of the last axis ahead of all views."""
    found = [(op, _cuts(graph, op, views)) for op in graph.consumers[name]]
    if len(found) < 2 or name in graph.outputs or not all(cuts for _, cuts in found):
        return []
    turns = sum(view.kind == "transpose" for view in views)
    channels = graph.tensors[views[0].inputs[0]].shape[-1]
    return found if not turns or turns == 1 and _are_equal([cuts[0] for _, cuts in found], channels) else []


def _are_equal(cuts: Sequence[_Cut], channels: int) -> bool:
    size = cuts[0].size
    return channels % size == 0 and all(cut.size == size and cut.begin % size == 0 for cut in cuts)


def _cuts(graph: Graph, part: Op, views: Sequence[Op]) -> list[_Cut]:
    """From the first view's input on; [] where there is none on the way."""
    whole, y = (graph.tensors[each].shape for each in (part.inputs[0], part.name))
    axes = [axis for axis, size in enumerate(whole) if y[axis] != size] if part.kind == "slice" else []
    if len(axes) != 1 or set(part.attrs["strides"]) != {1}:
        return []
    cuts = [_Cut(axes[0], *(part.attrs[side][axes[0]] for side in ("begin", "end")))]
    for view in reversed(views):
        cut = _ahead_of(view, cuts[0], graph.tensors[view.inputs[0]].shape, graph.tensors[view.name].shape)
        if cut is None:
            return []
        cuts.insert(0, cut)
    return cuts if cuts[0].axis == len(graph.tensors[views[0].inputs[0]].shape) - 1 else []


def _ahead_of(view: Op, cut: _Cut, old: Shape, new: Shape) -> _Cut | None:
    """What a part of a view's output has of its input, where that is a row of coordinates of one axis."""
    if cut.axis == 0:
        return None
    if view.kind == "transpose":
        return replace(cut, axis=view.attrs["perm"][cut.axis])
    for olds, news in blocks(old, new):
        if news[0] == cut.axis:
            values, each = prod(new[axis] for axis in news[1:]), prod(old[axis] for axis in olds[1:])
            begin, end = cut.begin * values, cut.end * values
            fits = begin % each == end % each == 0
            return _Cut(olds[0], begin // each, end // each) if fits else None
    return None


def _steps(graph: Graph, part: Op, views: Sequence[Op], cuts: Sequence[_Cut]) -> Iterator[tuple[str, dict]]:
    """(kind, attributes) of the ops that make a part of the first view's input."""
    cut, whole = cuts[0], graph.tensors[views[0].inputs[0]].shape
    begin, end = (*[0] * cut.axis, cut.begin), (*whole[:cut.axis], cut.end)
    yield "slice", {"begin": begin, "end": end, "strides": (1,) * len(whole)}
    for view, ahead in zip(views, cuts):
        if view.kind == "transpose":
            yield "reshape", {"shape": ahead.of(graph.tensors[view.inputs[0]].shape)}
            yield "transpose", {"perm": ahead.order(view.attrs["perm"])}
    yield "reshape", {"shape": graph.tensors[part.name].shape}


def _named(graph: Graph, part: Op, views: Sequence[Op], cuts: Sequence[_Cut],
           tensors: dict[str, Tensor]) -> list[Op]:
    """The ops that make a part's result; what lies between them joins `tensors`."""
    ops: list[Op] = []
    read, result = views[0].inputs[0], graph.tensors[part.name]
    for kind, attrs in _steps(graph, part, views, cuts):
        op = make(kind, [read], unique_name(f"{part.name}:{kind}", tensors), **attrs)
        shape = output_shape(op, [tensors[read].shape])
        if kind != "reshape" or shape != tensors[read].shape:
            tensors[op.name], read = replace(result, name=op.name, shape=shape), op.name
            ops.append(op)
    del tensors[read]
    return [*ops[:-1], replace(ops[-1], outputs=(part.name,))]
