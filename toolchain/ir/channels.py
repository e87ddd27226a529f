"""Channel rules of the op table: which coordinates of an op's tensors must be cut together."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.graph import Op, Shape


@dataclass(frozen=True, eq=False)
class Slot:
    """Coordinates along one axis of one tensor; element i of every slot in a link is the same channel."""

    tensor: str
    axis: int
    index: np.ndarray


Link = tuple[Slot, ...]


def _last(tensor: str, shapes: Mapping[str, Shape]) -> Slot:
    return Slot(tensor, len(shapes[tensor]) - 1, np.arange(shapes[tensor][-1]))


def _first(tensor: str, shapes: Mapping[str, Shape]) -> Slot:
    return Slot(tensor, 0, np.arange(shapes[tensor][0]))


def matrix(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """conv2d and fully_connected: a row of the weight makes a channel, a column reads one."""
    x, weight, bias = op.inputs
    return [(_last(op.name, shapes), _first(weight, shapes), _first(bias, shapes)),
            (_last(x, shapes), _last(weight, shapes))]


def conv2d(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """As `matrix`; in groups, a column reads one channel of each, and all groups keep the same rows."""
    x, weight, bias = op.inputs
    rows, columns = shapes[weight][0], shapes[weight][3]
    groups = shapes[x][-1] // columns
    if groups == 1:
        return matrix(op, shapes)
    made, per_group = np.arange(rows), rows // groups
    return [(_last(op.name, shapes), _first(weight, shapes), _first(bias, shapes)),
            (Slot(weight, 0, made), Slot(weight, 0, made % per_group)),
            (_last(x, shapes), Slot(weight, 3, np.arange(shapes[x][-1]) % columns))]


def depthwise(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """Output channel c * multiplier + k reads input channel c."""
    x, weight, bias = op.inputs
    axis, channels = len(shapes[x]) - 1, np.arange(shapes[x][-1])
    return [(Slot(x, axis, np.repeat(channels, op.attrs["multiplier"])), _last(op.name, shapes),
             _last(weight, shapes), _first(bias, shapes))]


def aligned(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """Every tensor with the output's channels on its last axis; one that broadcasts there has none to cut."""
    channels = shapes[op.name][-1:]
    return [tuple(_last(t, shapes) for t in (*op.inputs, *op.outputs)
                  if channels and shapes[t][-1:] == channels)]


def reduction(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    reduced = len(shapes[op.inputs[0]]) - 1 in op.attrs["axes"]
    return [] if reduced else aligned(op, shapes)


def layer_norm(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """A channel that goes would change the statistics of those that are normalized with it."""
    return reduction(op, shapes)


def pad(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    return aligned(op, shapes) if op.attrs["pads"][-1] == (0, 0) else []


def concat(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    axis = op.attrs["axis"]
    if axis != len(shapes[op.name]) - 1:
        return aligned(op, shapes)
    ends = np.cumsum([shapes[t][axis] for t in op.inputs])
    return [(_last(t, shapes), Slot(op.name, axis, np.arange(end - shapes[t][axis], end)))
            for t, end in zip(op.inputs, ends)]


def slice_(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """Channels outside the slice may go without the output's knowing. Strided channels stay."""
    x, axis = op.inputs[0], len(shapes[op.name]) - 1
    begin, end, stride = (op.attrs[name][axis] for name in ("begin", "end", "strides"))
    if stride != 1:
        return []
    every = np.arange(shapes[x][axis])
    return [(Slot(x, axis, every[begin:end]), _last(op.name, shapes)),
            (Slot(x, axis, np.delete(every, slice(begin, end))),)]


def gather(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """Indices count channels where they run along them: then none may go."""
    x = op.inputs[0]
    return [] if op.attrs["axis"] == len(shapes[x]) - 1 else [(_last(x, shapes), _last(op.name, shapes))]


def tile(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    return aligned(op, shapes) if op.attrs["multiples"][-1] == 1 else []


def reshape(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """Flattening [.., H, W, C] to [.., H * W * C] repeats the channels; the inverse folds them."""
    x, y = op.inputs[0], op.name
    if not shapes[x] or not shapes[y]:
        return []
    old, new = shapes[x][-1], shapes[y][-1]
    if max(old, new) % min(old, new):
        return []
    flat = np.arange(max(old, new))
    return [(Slot(x, len(shapes[x]) - 1, flat % old), Slot(y, len(shapes[y]) - 1, flat % new))]


def transpose(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    x, y = op.inputs[0], op.name
    return [(Slot(x, old, np.arange(shapes[x][old])), Slot(y, new, np.arange(shapes[x][old])))
            for new, old in enumerate(op.attrs["perm"]) if old != 0]


def none(op: Op, shapes: Mapping[str, Shape]) -> list[Link]:
    """Channels compete (softmax): none may go."""
    return []
