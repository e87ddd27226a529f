"""Channel rules of the op table: which coordinates of an op's tensors must be cut together.

A link holds slots of one length, of one tensor or more: their elements are pairwise the same channel. A link
without a slot of the output is where channels end: the op reads them and what it makes has others. A
coordinate that is in no link of an op cannot be cut there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from toolchain.ir.digits import Digit, digits, ways
from toolchain.ir.graph import Op, Shape


@dataclass(frozen=True, eq=False)
class Slot:
    """Coordinates along one axis of one tensor; element i of every slot in a link is the same channel."""

    tensor: str
    axis: int
    index: np.ndarray


Link = tuple[Slot, ...]
Shapes = Mapping[str, Shape]
Reading = list[Link]
Choice = list[Reading]
"""Readings of which one holds; the first is preferred."""


def _whole(tensor: str, axis: int, shapes: Shapes) -> Slot:
    """All coordinates along an axis, which may count from the last one."""
    axis %= len(shapes[tensor])
    return Slot(tensor, axis, np.arange(shapes[tensor][axis]))


def _last(tensor: str, shapes: Shapes) -> Slot:
    return _whole(tensor, -1, shapes)


def _first(tensor: str, shapes: Shapes) -> Slot:
    return _whole(tensor, 0, shapes)


# Weighted ---------------------------------------------------------------------------------------------------

def matrix(op: Op, shapes: Shapes) -> list[Link]:
    """transpose_conv2d: a row of the weight makes a channel, a column reads one."""
    x, weight, bias = op.inputs
    return [(_last(op.name, shapes), _first(weight, shapes), _first(bias, shapes)),
            (_last(x, shapes), _last(weight, shapes))]


def fully_connected(op: Op, shapes: Shapes) -> list[Link]:
    """As `matrix`; rows of the input, where there are more than the batch, pass on."""
    x = op.inputs[0]
    rows = [(_first(x, shapes), _first(op.name, shapes))] if shapes[x][0] > 1 else []
    return [*matrix(op, shapes), *rows]


def conv2d(op: Op, shapes: Shapes) -> list[Link]:
    """As `matrix`; in groups, a column reads one channel of each, and all groups keep the same rows."""
    return conv2d_choices(op, shapes)[0][0]


def conv2d_choices(op: Op, shapes: Shapes) -> list[Choice]:
    """In groups: either all groups keep the same rows and columns, or groups go whole."""
    x, weight, bias = op.inputs
    rows, columns, channels = shapes[weight][0], shapes[weight][3], shapes[x][-1]
    groups = channels // columns
    if groups == 1:
        return [[matrix(op, shapes)]]
    made, read = np.arange(rows), np.arange(channels)
    makes = (_last(op.name, shapes), _first(weight, shapes), _first(bias, shapes))
    first_row = rows // groups
    within = [makes, (Slot(weight, 0, made), Slot(weight, 0, made % first_row)),
              (Slot(x, 3, read), Slot(weight, 3, read % columns))]
    whole = [makes, (Slot(weight, 0, made), Slot(weight, 0, made // first_row * first_row)),
             (Slot(x, 3, read), Slot(op.name, 3, read // columns * first_row))]
    return [[within, whole]]


def depthwise(op: Op, shapes: Shapes) -> list[Link]:
    """Output channel c * multiplier + k reads input channel c."""
    x, weight, bias = op.inputs
    axis, channels = len(shapes[x]) - 1, np.arange(shapes[x][-1])
    return [(Slot(x, axis, np.repeat(channels, op.attrs["multiplier"])), _last(op.name, shapes),
             _last(weight, shapes), _first(bias, shapes))]


def batch_matmul(op: Op, shapes: Shapes) -> list[Link]:
    """Rows of a and columns of b pass on, and so do the axes before; what is summed over ends, in both."""
    (a, b), y = op.inputs, op.name
    row, summed_a = (-1, -2) if op.attrs["transpose_a"] else (-2, -1)
    summed_b, column = (-1, -2) if op.attrs["transpose_b"] else (-2, -1)
    before = [link for back in range(-len(shapes[y]), -2) if (link := _along(op, back, shapes))]
    return [(_whole(a, row, shapes), _whole(y, -2, shapes)),
            (_whole(b, column, shapes), _whole(y, -1, shapes)),
            (_whole(a, summed_a, shapes), _whole(b, summed_b, shapes)), *before]


# Element by element -----------------------------------------------------------------------------------------

def _along(op: Op, back: int, shapes: Shapes) -> Link:
    """Every tensor with the output's size on the axis `back` (-1: the last); one that broadcasts there has
    none to cut. A batch of one is no channel."""
    size = shapes[op.name][back]
    if size == 1 and back != -1:
        return ()
    return tuple(_whole(t, back, shapes) for t in (*op.inputs, *op.outputs)
                 if len(shapes[t]) >= -back and shapes[t][back] == size)


def aligned(op: Op, shapes: Shapes) -> list[Link]:
    """Element by element: every axis passes on."""
    return [link for back in range(-len(shapes[op.name]), 0) if (link := _along(op, back, shapes))]


def window(op: Op, shapes: Shapes) -> list[Link]:
    """Each channel on its own, but places near each other together."""
    return [_along(op, -1, shapes)]


def _but(op: Op, axes, shapes: Shapes) -> list[Link]:
    """As `aligned`, without these axes of the output."""
    rank = len(shapes[op.name])
    return [link for back in range(-rank, 0)
            if rank + back not in axes and (link := _along(op, back, shapes))]


def layer_norm(op: Op, shapes: Shapes) -> list[Link]:
    """A channel that goes would change the statistics of those that are normalized with it."""
    return _but(op, op.attrs["axes"], shapes)


def softmax(op: Op, shapes: Shapes) -> list[Link]:
    """What lies along the last axis competes: none of it may go."""
    return _but(op, (len(shapes[op.name]) - 1,), shapes)


# Reductions -------------------------------------------------------------------------------------------------

def _kept(op: Op, reduced, shapes: Shapes) -> list[Link]:
    """Axes of the input that the output still has."""
    x, y = op.inputs[0], op.name
    kept = [axis for axis in range(len(shapes[x])) if axis not in reduced]
    to = kept if op.attrs.get("keepdims") else range(len(kept))
    return [(_whole(x, old, shapes), _whole(y, new, shapes)) for old, new in zip(kept, to)
            if shapes[x][old] > 1 or new == len(shapes[y]) - 1]


def reduction(op: Op, shapes: Shapes) -> list[Link]:
    """A mean or an extreme changes with what it is of: only other axes pass on."""
    return _kept(op, op.attrs["axes"], shapes)


def total(op: Op, shapes: Shapes) -> list[Link]:
    """A sum ends what it is of."""
    x = op.inputs[0]
    return [*_kept(op, op.attrs["axes"], shapes), *((_whole(x, axis, shapes),) for axis in op.attrs["axes"])]


def argmax(op: Op, shapes: Shapes) -> list[Link]:
    """It counts along its axis."""
    return _kept(op, (op.attrs["axis"],), shapes)


# Moving data ------------------------------------------------------------------------------------------------

def depth_to_space(op: Op, shapes: Shapes) -> list[Link]:
    """Channel (i * block + j) * C + c goes to channel c of C."""
    x, y = op.inputs[0], op.name
    every = np.arange(shapes[x][-1])
    return [(Slot(x, 3, every), Slot(y, 3, every % shapes[y][-1]))]


def space_to_depth(op: Op, shapes: Shapes) -> list[Link]:
    """The inverse of `depth_to_space`."""
    x, y = op.inputs[0], op.name
    every = np.arange(shapes[y][-1])
    return [(Slot(x, 3, every % shapes[x][-1]), Slot(y, 3, every))]


def pad(op: Op, shapes: Shapes) -> list[Link]:
    """What is added belongs to the output alone, and may go."""
    x, links = op.inputs[0], []
    for axis, (before, _) in enumerate(op.attrs["pads"]):
        every, size = np.arange(shapes[op.name][axis]), shapes[x][axis]
        inside = every[before:before + size]
        if size > 1 or axis == len(shapes[x]) - 1:
            links.append((_whole(x, axis, shapes), Slot(op.name, axis, inside)))
            links.append((Slot(op.name, axis, np.delete(every, inside)),))
    return [link for link in links if link[0].index.size]


def mirror_pad(op: Op, shapes: Shapes) -> list[Link]:
    """An axis that is mirrored must stay: what lies at its border is repeated."""
    return _but(op, [axis for axis, pads in enumerate(op.attrs["pads"]) if any(pads)], shapes)


def concat(op: Op, shapes: Shapes) -> list[Link]:
    axis = op.attrs["axis"]
    ends = np.cumsum([shapes[t][axis] for t in op.inputs])
    parts = [(_whole(t, axis, shapes), Slot(op.name, axis, np.arange(end - shapes[t][axis], end)))
             for t, end in zip(op.inputs, ends)]
    return [*parts, *_but(op, (axis,), shapes)]


def slice_(op: Op, shapes: Shapes) -> list[Link]:
    """What lies outside the slice may go without the output's knowing. Strided axes stay."""
    x, links = op.inputs[0], []
    for axis, bounds in enumerate(zip(*(op.attrs[name] for name in ("begin", "end", "strides")))):
        every = np.arange(shapes[x][axis])
        if bounds[2] == 1 and (len(every) > 1 or axis == len(shapes[x]) - 1):
            inside = every[slice(*bounds)]
            links += [(Slot(x, axis, inside), _whole(op.name, axis, shapes)),
                      (Slot(x, axis, np.delete(every, inside)),)]
    return links


def gather(op: Op, shapes: Shapes) -> list[Link]:
    """Indices count along their axis: there none may go, unless they are known (`picked`)."""
    x, axis = op.inputs[0], op.attrs["axis"]
    more = len(shapes[op.name]) - len(shapes[x])
    return [(_whole(x, old, shapes), _whole(op.name, old + (more if old > axis else 0), shapes))
            for old in range(len(shapes[x]))
            if old != axis and (shapes[x][old] > 1 or old == len(shapes[x]) - 1)]


def picked(op: Op, indices: np.ndarray, shapes: Shapes) -> list[Link]:
    """Along the axis of a gather of known places (n,), such as a shuffle: what it does not pick may go."""
    x, axis = op.inputs[0], op.attrs["axis"]
    every = np.arange(shapes[x][axis])
    links = [(Slot(x, axis, indices), _whole(op.name, axis, shapes), _first(op.inputs[1], shapes)),
             (Slot(x, axis, np.setdiff1d(every, indices)),)]
    return [link for link in links if link[0].index.size]


def tile(op: Op, shapes: Shapes) -> list[Link]:
    """A channel goes with its copies."""
    x, y = op.inputs[0], op.name
    return [(Slot(x, axis, np.arange(copies) % size), _whole(y, axis, shapes))
            for axis, (size, copies) in enumerate(zip(shapes[x], shapes[y]))
            if size > 1 or axis == len(shapes[x]) - 1]


def reshape(op: Op, shapes: Shapes) -> list[Link]:
    """The last axes of those that stay whole: flattening [.., H, W, C] to [.., H * W * C] repeats C."""
    return [link for choice in reshape_choices(op, shapes) for link in choice[0]]


def reshape_choices(op: Op, shapes: Shapes) -> list[Choice]:
    """Every axis, or part of one, that the reshape keeps; of those that share an axis one at a time.

    [.., G * K] to [.., G, K] keeps K, where channel c is k = c % K, or G, where it is g = c // K.
    """
    x, y = op.inputs[0], op.name

    def link(digit: Digit) -> Link:
        old, new = digit.joined()
        return Slot(x, digit.old.axis, old), Slot(y, digit.new.axis, new)

    return [[[link(digit) for digit in way] for way in choice]
            for choice in ways(digits(shapes[x], shapes[y]))]


def step(op: Op, shapes: Shapes) -> list[Link]:
    """Every axis but that of the steps passes on."""
    x, y, gone = op.inputs[0], op.name, op.attrs["axis"]
    return [(_whole(x, axis, shapes), _whole(y, axis - (axis > gone), shapes))
            for axis in range(len(shapes[x]))
            if axis != gone and (shapes[x][axis] > 1 or axis == len(shapes[x]) - 1)]


def sequence(op: Op, shapes: Shapes) -> list[Link]:
    """As `step`, the other way round."""
    x, y, new = op.inputs[0], op.name, op.attrs["axis"]
    return [(_whole(x, axis, shapes), _whole(y, axis + (axis >= new), shapes))
            for axis in range(len(shapes[x])) if shapes[x][axis] > 1 or axis == len(shapes[x]) - 1]


def transpose(op: Op, shapes: Shapes) -> list[Link]:
    x, y = op.inputs[0], op.name
    return [(_whole(x, old, shapes), _whole(y, new, shapes)) for new, old in enumerate(op.attrs["perm"])
            if old != 0 or shapes[x][0] > 1]


CHOICES: Mapping[str, Callable[[Op, Shapes], list[Choice]]] = {
    "conv2d": conv2d_choices, "reshape": reshape_choices}
"""Kinds with several readings -> their choices; the row's links are the first reading of each."""
