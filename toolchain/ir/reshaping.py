"""Reshapes through views: axes that split or merge do so where they lie, so that a view survives."""

from collections.abc import Iterator
from math import prod

from toolchain.ir.graph import Op, Shape
from toolchain.ir.sinking import Axes, Sinking, View, moves_data, wide_axes

Block = tuple[tuple[int, ...], tuple[int, ...]]


def blocks(old: Shape, new: Shape) -> Iterator[Block]:
    """(old axes, new axes) that hold the same values, the fewest at a time and in order; unit axes but the
    batch are left out."""
    olds, news = wide_axes(old), wide_axes(new)
    while olds and news:
        a, b = [olds.pop(0)], [news.pop(0)]
        while (left := prod(old[i] for i in a)) != (right := prod(new[i] for i in b)):
            side, rest = (a, olds) if left < right else (b, news)
            side.append(rest.pop(0))
        yield tuple(a), tuple(b)


def _axes(placed: list[Block]) -> Axes:
    """Those of the base, block after block."""
    return tuple(axis for olds, _ in placed for axis in olds)


def reshape_view(pass_: Sinking, op: Op) -> bool:
    """Reshape the base of the input's view block by block.

    Blocks stay where their last axis lies in the base. One whose axes do not follow each other there costs a
    transpose: it moves nothing else, or all to where the view has it, if the last axis can stay.
    """
    new, view = pass_.shape(op.name), pass_.views[op.inputs[0]]
    found = list(blocks(pass_.shape(op.inputs[0]), new))
    if pass_.tensors[view.base].is_constant or found[0] != ((0,), (0,)) or view.axes[0] != 0:
        return False
    viewed = [(tuple(view.axes[axis] for axis in olds), news) for olds, news in found]
    placed, shape = sorted(viewed, key=lambda block: max(block[0])), pass_.tensors[view.base].shape
    if moves_data(_axes(placed), shape) and _axes(viewed)[-1] == wide_axes(shape)[-1]:
        placed = viewed
    source = pass_.materialise(View(view.base, _axes(placed)))
    order = [axis for _, news in placed for axis in news]
    position = {axis: index for index, axis in enumerate(order)}
    pass_.emit(op, [source], view_axes=tuple(map(position.get, range(len(new)))),
               shape=tuple(new[axis] for axis in order))
    return True
