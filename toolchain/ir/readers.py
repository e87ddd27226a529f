"""What a layout depends on: who reads a tensor, and how, perhaps behind ops that do not care."""

from collections.abc import Callable, Iterator

from toolchain.ir import shapes
from toolchain.ir.graph import Graph, Op, Shape, Tensor
from toolchain.ir.ops import OPS
from toolchain.ir.sinking import wide_axes

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
    """Whether a consumer, perhaps behind layout-free ops, transposes it to channels last."""
    if len(tensor.shape) not in TO_LAST:
        return False
    for op in readers_of(graph, tensor.name, lambda op: is_layout_free(graph, op)):
        rank = len(graph.tensors[op.name].shape)
        turned = op.kind == "transpose" and op.attrs["perm"] == TO_LAST[rank]
        if turned and (rank == 4 or not _turned_back(graph, op.name)):
            return True
    return False


def is_layout_free(graph: Graph, op: Op) -> bool:
    """Whether the op's output, an image or a sequence, lies as its input does."""
    follows = op.kind in FOLLOWING or moves_unit_axes(graph, op)
    return follows and len(graph.tensors[op.name].shape) in TO_LAST


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
