"""Axes that pass through an op: what lies at one place of its result depends on that place alone."""

import numpy as np

from toolchain.ir.channels import Slot
from toolchain.ir.digits import digits
from toolchain.ir.elements import links_of
from toolchain.ir.graph import Graph, Op, Tensor

WINDOW = {"conv2d", "depthwise_conv2d", "average_pool2d", "max_pool2d"}
"""Kinds that read the places near each one of axes 1 and 2."""


def passed(graph: Graph, op: Op, name: str, axis: int) -> int | None:
    """The axis of the op's result whose places depend on the same ones of that axis of an input, and no
    others; None where there is none such."""
    x, y = graph.tensors[name].shape, graph.tensors[op.name].shape
    if op.kind == "reshape":
        kept = (digit for digit in digits(x, y) if digit.old.axis == axis and digit.size == x[axis])
        return next((digit.new.axis for digit in kept if y[digit.new.axis] == x[axis]), None)
    if op.kind in WINDOW:
        alone = axis == 0 or (axis in (1, 2) and _alone(graph, op, axis - 1))
        return axis if alone and name == op.inputs[0] else None
    for link in links_of(graph, op):
        if any(_is_all(slot, name, axis, x[axis]) for slot in link):
            return next((slot.axis for slot in link if slot.tensor == op.name and y[slot.axis] == x[axis]
                         and _is_all(slot, op.name, slot.axis, x[axis])), None)
    return None


def _is_all(slot: Slot, name: str, axis: int, size: int) -> bool:
    """Whether the slot is the whole axis, in order."""
    return (slot.tensor, slot.axis) == (name, axis) and np.array_equal(slot.index, np.arange(size))


def _alone(graph: Graph, op: Op, side: int) -> bool:
    """Whether the window is one place along height (side 0) or width (side 1)."""
    kernel = op.attrs.get("kernel") or graph.tensors[op.inputs[1]].shape[1:3]
    before, after = op.attrs["pads"][2 * side:2 * side + 2]
    return (kernel[side], op.attrs["stride"][side], before, after) == (1, 1, 0, 0)


def differs_along(graph: Graph, op: Op, tensor: Tensor, axis: int) -> bool:
    """Whether an operand has values of its own for places along that axis of the result."""
    return any(passed(graph, op, tensor.name, at) == axis for at in range(len(tensor.shape)))
