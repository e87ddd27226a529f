"""What a layout depends on: who reads a tensor, and how, perhaps behind ops that do not care."""

from collections.abc import Callable, Iterator

from toolchain.ir import shapes
from toolchain.ir.graph import Graph, Op, Shape, Tensor
from toolchain.ir.ops import OPS
from toolchain.ir.sinking import Axes, wide_axes

TO_LAST = {3: (0, 2, 1), 4: (0, 2, 3, 1)}
TO_FIRST = {3: (0, 2, 1), 4: (0, 3, 1, 2)}
POINTWISE = frozenset(kind for kind, row in OPS.items() if row.inputs == ("x",) and row.shape is shapes.same
                      and not kind.endswith("softmax"))
BROADCASTING = frozenset(kind for kind, row in OPS.items()
                         if row.shape in (shapes.broadcast, shapes.parametric))
"""Kinds that compute element by element on operands that broadcast."""
FOLLOWING = POINTWISE | BROADCASTING | {"pad", "mirror_pad", "slice", "tile", "concat"}
"""Kinds whose output lies as their input does."""


def readers_of(graph: Graph, name: str, through: Callable[[Op], bool]) -> Iterator[Op]:
    """Each op that reads `name`, perhaps behind ops that `through` holds for, once."""
    seen, todo = {name}, [name]
    while todo:
        for op in graph.consumers[todo.pop()]:
            if op.name not in seen:
                seen.add(op.name)
                yield op
                if through(op):
                    todo.append(op.name)


def wants_channels_last(graph: Graph, tensor: Tensor) -> bool:
    """Whether a consumer, perhaps behind layout-free ops, transposes it to channels last.

    [N, H, W] that an op reads as [N, 1, H, W] lies so already.
    """
    if len(tensor.shape) not in TO_LAST:
        return False
    lies: dict[str, Axes] = {tensor.name: tuple(range(len(tensor.shape)))}
    todo, wide = [tensor.name], set(wide_axes(tensor.shape))
    wanted = [axis for axis in TO_LAST[len(tensor.shape)] if axis in wide]
    while todo:
        axes = lies[name := todo.pop()]
        for op in graph.consumers[name]:
            turned = _to_channels_last(graph, op)
            if turned and [axes[axis] for axis in op.attrs["perm"] if axes[axis] in wide] == wanted:
                return True
            if op.name not in lies and is_layout_free(graph, op):
                lies[op.name] = _lies_behind(graph, op, axes)
                todo.append(op.name)
    return False


def _to_channels_last(graph: Graph, op: Op) -> bool:
    """Whether a transpose turns an image, or a sequence that is not turned back."""
    rank = len(graph.tensors[op.name].shape)
    turned = op.kind == "transpose" and op.attrs["perm"] == TO_LAST.get(rank)
    return turned and (rank == 4 or not _turned_back(graph, op.name))


def _lies_behind(graph: Graph, op: Op, axes: Axes) -> Axes:
    """The axes of a tensor that run along those of the output of a layout-free op that reads it."""
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    if op.kind == "reshape":
        source = dict(zip(wide_axes(after), wide_axes(before)))
        return tuple(axes[source[axis]] if axis in source else None for axis in range(len(after)))
    return (None,) * (len(after) - len(axes)) + axes


def is_layout_free(graph: Graph, op: Op) -> bool:
    """Whether the op's output, an image or a sequence, lies as its input does."""
    follows = op.kind in FOLLOWING or moves_unit_axes(graph, op) or _picks(graph, op)
    return follows and len(graph.tensors[op.name].shape) in TO_LAST


def _picks(graph: Graph, op: Op) -> bool:
    """Whether the op takes places along one axis, the same for every sample."""
    return op.kind == "gather" and len(graph.tensors[op.inputs[1]].shape) == 1 and op.attrs["axis"] != 0


def _turned_back(graph: Graph, name: str) -> bool:
    """Whether all that reads a turned sequence turns it again: then [N, L, C] came in, not [N, C, L]."""
    def keeps_axes(op: Op) -> bool:
        return op.kind in POINTWISE | {"pad"}

    return all(op.kind == "transpose" or keeps_axes(op) for op in readers_of(graph, name, keeps_axes))


def moves_unit_axes(graph: Graph, op: Op) -> bool:
    """Whether the op is a reshape between [N, C, L] and [N, C, 1, L], say."""
    before, after = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    return op.kind == "reshape" and _sizes(before) == _sizes(after)


def _sizes(shape: Shape) -> list[int]:
    return [shape[axis] for axis in wide_axes(shape)]
