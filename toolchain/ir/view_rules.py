"""How each kind of op passes through views: on the viewed tensors, its attributes turned with them.

A rule returns whether it handled the op; if not, the op runs on materialised inputs.
"""

from collections.abc import Mapping

from toolchain.ir.graph import Op
from toolchain.ir.readers import BROADCASTING
from toolchain.ir.sinking import Axes, Rule, Sinking, View


def _transpose(pass_: Sinking, op: Op) -> bool:
    pass_.see(op, pass_.views[op.inputs[0]].transposed(op.attrs["perm"]).axes)
    return True


def _broadcasting(pass_: Sinking, op: Op) -> bool:
    """Run in the layout of the largest operand, if the others can follow without moving data."""
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
    pass_.emit(op, [view.base], view_axes=view.axes)
    return True


def _reduction(pass_: Sinking, op: Op) -> bool:
    """Reduce the base with its axes kept; the view drops them where the op does."""
    view, axes = pass_.views[op.inputs[0]], op.attrs["axes"]
    inner = tuple(sorted(view.axes[a] for a in axes if view.axes[a] is not None))
    kept = tuple(axis for k, axis in enumerate(view.axes) if op.attrs["keepdims"] or k not in axes)
    if not inner or pass_.is_identity(view):
        return False
    pass_.emit(op, [view.base], view_axes=kept, axes=inner, keepdims=True)
    return True


def _argmax(pass_: Sinking, op: Op) -> bool:
    view = pass_.views[op.inputs[0]]
    inner = view.axes[op.attrs["axis"]]
    if inner is None:
        return False
    left = (axis for k, axis in enumerate(view.axes) if k != op.attrs["axis"])
    pass_.emit(op, [view.base], axis=inner,
               view_axes=tuple(None if axis is None else axis - (axis > inner) for axis in left))
    return True


def _layer_norm(pass_: Sinking, op: Op) -> bool:
    """Normalize the base; gamma and beta are constants and follow."""
    view = pass_.views[op.inputs[0]]
    rank = len(pass_.tensors[view.base].shape)
    parameters = [pass_.in_axes(name, view.axes, rank) for name in op.inputs[1:]]
    inner = tuple(sorted(view.axes[a] for a in op.attrs["axes"] if view.axes[a] is not None))
    if None in parameters or not inner:
        return False
    pass_.emit(op, [view.base, *parameters], view_axes=view.axes, axes=inner)
    return True


SIZE = object()
"""Stands for the size of an axis."""


def _per_axis(**neutral) -> Rule:
    """Rule of a kind whose attributes hold one value per axis.

    neutral: attribute -> what it says of an axis that it leaves alone
    """
    def rule(pass_: Sinking, op: Op) -> bool:
        view, moved = pass_.views[op.inputs[0]], {}
        shape = pass_.tensors[view.base].shape
        for attr, value in neutral.items():
            of_axis = list(zip(view.axes, op.attrs[attr], strict=True))
            if any(axis is None and given != (1 if value is SIZE else value) for axis, given in of_axis):
                return False
            given = dict(of_axis)
            moved[attr] = tuple(given.get(i, n if value is SIZE else value) for i, n in enumerate(shape))
        pass_.emit(op, [view.base], view_axes=view.axes, **moved)
        return True

    return rule


def _gather(pass_: Sinking, op: Op) -> bool:
    """A row of indices picks along one axis, wherever that lies."""
    view, indices = pass_.views[op.inputs[0]], op.inputs[1]
    inner = view.axes[op.attrs["axis"]]
    if inner is None or len(pass_.shape(indices)) != 1 or pass_.tensors[view.base].is_constant:
        return False
    pass_.emit(op, [view.base, pass_.materialise(pass_.views[indices])], view_axes=view.axes, axis=inner)
    return True


def _batch_matmul(pass_: Sinking, op: Op) -> bool:
    """A matrix that is viewed turned is multiplied turned: as it lies, or the second with its rows in one
    piece."""
    inputs, turned = [], {}
    for side, name in zip("ab", op.inputs, strict=True):
        view, attr = pass_.views[name], f"transpose_{side}"
        base, swapped = pass_.tensors[view.base], view.transposed(last_two_swapped(len(view.axes)))
        in_rows = side == "b" and view.axes[-2] == len(base.shape) - 1
        swaps = not base.is_constant and (pass_.is_identity(swapped) or in_rows)
        turned[attr] = op.attrs[attr] != swaps
        inputs.append(pass_.materialise(swapped if swaps else view))
    pass_.emit(op, inputs, **turned)
    return True


def last_two_swapped(rank: int) -> tuple[int, ...]:
    return (*range(rank - 2), rank - 1, rank - 2)


def _concat(pass_: Sinking, op: Op) -> bool:
    """Join the bases along the axis where it lies in one of them, if the others can follow."""
    for lead in op.inputs:
        axes, rank = _with_axis(pass_, pass_.views[lead], op.attrs["axis"])
        inputs = [pass_.in_axes(name, axes, rank) for name in op.inputs]
        if None not in inputs:
            pass_.emit(op, inputs, view_axes=axes, axis=axes[op.attrs["axis"]])
            return True
    return False


def _step(pass_: Sinking, op: Op) -> bool:
    """A place along an axis, wherever that lies, if what is left lies as it did."""
    view, axis = pass_.views[op.inputs[0]], op.attrs["axis"]
    inner = view.axes[axis]
    if inner is None or len(pass_.tensors[view.base].shape) != len(view.axes):
        return False
    left = (*view.axes[:axis], *view.axes[axis + 1:])
    pass_.emit(op, [view.base], axis=inner,
               view_axes=tuple(None if a is None else a - (a > inner) for a in left))
    return True


def _state(pass_: Sinking, op: Op) -> bool:
    """It lies as the source has it; what it becomes is not there yet."""
    initial = pass_.materialise(pass_.views[op.inputs[0]])
    pass_.emit(op, [initial, initial])
    return True


def _with_axis(pass_: Sinking, view: View, axis: int) -> tuple[Axes, int]:
    """The view's axes and the base's rank. A unit axis that the base has not becomes the last of those that
    the view leaves out, or a new last one."""
    rank = len(pass_.tensors[view.base].shape)
    if view.axes[axis] is not None:
        return view.axes, rank
    spare = [place for place in range(1, rank) if place not in view.axes] or [rank]
    return (*view.axes[:axis], spare[-1], *view.axes[axis + 1:]), max(rank, spare[-1] + 1)


def _conv2d(pass_: Sinking, op: Op) -> bool:
    """A 1x1 convolution works place by place: rows may lie as columns."""
    view, swapped = pass_.views[op.inputs[0]], (0, 2, 1, 3)
    each_place = pass_.shape(op.inputs[1])[1:3] == op.attrs["stride"] == (1, 1) and not any(op.attrs["pads"])
    if not each_place or view.axes != swapped or len(pass_.tensors[view.base].shape) != 4:
        return False
    constants = [pass_.materialise(pass_.views[name]) for name in op.inputs[1:]]
    pass_.emit(op, [view.base, *constants], view_axes=swapped)
    return True


VIEW_RULES: Mapping[str, Rule] = {
    "transpose": _transpose,
    "conv2d": _conv2d,
    "batch_matmul": _batch_matmul,
    "softmax": _softmax,
    "log_softmax": _softmax,
    "layer_norm": _layer_norm,
    "argmax": _argmax,
    "pad": _per_axis(pads=(0, 0)),
    "mirror_pad": _per_axis(pads=(0, 0)),
    "slice": _per_axis(begin=0, end=SIZE, strides=1),
    "tile": _per_axis(multiples=1),
    "gather": _gather,
    "concat": _concat,
    "step": _step,
    "state": _state,
    **dict.fromkeys(("mean", "sum", "reduce_max", "reduce_min"), _reduction),
    **dict.fromkeys(BROADCASTING, _broadcasting),
}
