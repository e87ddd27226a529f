"""Values that stay, in another shape or order; and values that repeat."""

from collections.abc import Mapping

import numpy as np

from toolchain.load.aten_call import Call, Rule, activation, axis_of, cut, take


def reshape(call: Call) -> str:
    """flatten, view, squeeze, unsqueeze and their like: the result's shape says it all."""
    x = activation(call)
    call.require(call.dtype_of(x) == call.dtype, f"reads the bits of {call.dtype_of(x)} as {call.dtype}")
    return call.emit("reshape", [x], shape=call.result)


def permute(call: Call) -> str:
    """permute, and transpose, t, mT, which swap two axes."""
    x = activation(call)
    rank = len(call.shape(x))
    swaps = {"t": (0, rank - 1), "mT": (-2, -1)}
    if call.op in ("T", "numpy_T"):
        return call.emit("transpose", [x], perm=tuple(reversed(range(rank))))
    perm = [d % rank for d in call.get("dims", default=range(rank))]
    if "dims" not in call.args:
        a, b = (d % rank for d in swaps.get(call.op) or _swapped(call))
        perm[a], perm[b] = perm[b], perm[a]
    return call.emit("transpose", [x], perm=tuple(perm))


def _swapped(call: Call) -> tuple[int, int]:
    return call.get("dim0", "axis0"), call.get("dim1", "axis1")


def move_axes(call: Call) -> str:
    """movedim: the axes of `source` go to `destination`, the others keep their order."""
    x = activation(call)
    rank = len(call.shape(x))
    source, target = ([d % rank for d in ([v] if isinstance(v, int) else v)]
                      for v in (call["source"], call["destination"]))
    rest = iter(axis for axis in range(rank) if axis not in source)
    perm = tuple(source[target.index(at)] if at in target else next(rest) for at in range(rank))
    return call.emit("transpose", [x], perm=perm)


def concat(call: Call) -> str:
    """cat and its like; an empty tensor of rank 1 adds nothing."""
    names = [call.tensor(value, call.dtype) for value in call["tensors"]]
    ranks = {len(call.shape(name)) for name in names}
    call.require(len(ranks) == 1, f"joins tensors of {len(ranks)} ranks")
    dim = call.get("dim", default={"vstack": 0, "dstack": 2}.get(call.op, 1))
    return call.emit("concat", names, axis=axis_of(call, names[0], dim))


def stack(call: Call) -> str:
    """Joined along a new axis; where that comes first, behind the batch and brought forward."""
    axis = call["dim"] % len(call.result)
    names = [call.tensor(value, call.dtype) for value in call["tensors"]]
    shape = (*call.result[:axis], 1, *call.result[axis + 1:])
    if axis == 0:
        shape = (1, 1, *shape[2 if shape[1:2] == (1,) else 1:])
    parts = [call.emit("reshape", [name], f"part{i}", shape=shape) for i, name in enumerate(names)]
    if axis > 0:
        return call.emit("concat", parts, axis=axis)
    return call.emit("reshape", [call.emit("concat", parts, "joined", axis=1)], shape=call.result)


# Repetition -------------------------------------------------------------------------------------------------

def expand(call: Call) -> str:
    """Nothing where all readers broadcast, else each unit axis is repeated."""
    x = activation(call)
    if call.spread_by_readers:
        return x
    shape = (1,) * (len(call.result) - len(call.shape(x))) + call.shape(x)
    return _tiled(call, x, shape, tuple(new // old for old, new in zip(shape, call.result)))


def repeat(call: Call) -> str:
    """repeat, tile: whole copies along each axis; the shorter of shape and counts is filled with 1 before."""
    x, counts = activation(call), tuple(call.get("repeats", "dims"))
    rank = len(call.result)
    shape = (1,) * (rank - len(call.shape(x))) + call.shape(x)
    return _tiled(call, x, shape, (1,) * (rank - len(counts)) + counts)


def _tiled(call: Call, x: str, shape: tuple[int, ...], multiples: tuple[int, ...]) -> str:
    call.require(multiples[:1] in ((), (1,)), f"repeats the batch {multiples[:1]} times; keep it 1")
    if set(multiples) <= {1}:
        return x if call.shape(x) == call.result else call.emit("reshape", [x], shape=call.result)
    if shape != call.shape(x):
        x = call.emit("reshape", [x], "wide", shape=shape)
    return call.emit("tile", [x], multiples=multiples)


def repeat_interleave(call: Call) -> str:
    """Each value `repeats` times in a row."""
    x, repeats = activation(call), call["repeats"]
    call.require(isinstance(repeats, int) and call["dim"] is not None,
                 "repeats by a tensor, or over all axes; give one number and an axis")
    axis = axis_of(call, x, call["dim"])
    return take(call, x, axis, np.repeat(np.arange(call.shape(x)[axis]), repeats), "")


def flip(call: Call) -> str:
    x = activation(call)
    axes = [axis_of(call, x, dim) for dim in call["dims"]]
    for place, axis in enumerate(axes):
        step = "" if place == len(axes) - 1 else f"flip{axis}"
        x = take(call, x, axis, np.arange(call.shape(x)[axis])[::-1], step)
    return x


def roll(call: Call) -> str:
    """What leaves one end of an axis comes in at the other."""
    x, shifts, dims = activation(call), call["shifts"], call["dims"]
    call.require(len(dims) == len(shifts), "rolls the flattened tensor; name the axes")
    moves = [(axis_of(call, x, dim), shift % call.shape(x)[dim]) for shift, dim in zip(shifts, dims)]
    moves = [(axis, shift) for axis, shift in moves if shift]
    for place, (axis, shift) in enumerate(moves):
        size, last = call.shape(x)[axis], place == len(moves) - 1
        parts = [cut(call, x, axis, span, f"{side}{axis}") for side, span in (
            ("end", slice(size - shift, size)), ("start", slice(0, size - shift)))]
        x = call.emit("concat", parts, "" if last else f"roll{axis}", axis=axis)
    return x


_VIEWS = ("flatten", "view", "_unsafe_view", "reshape", "squeeze", "unsqueeze", "unflatten", "view_as",
          "reshape_as", "ravel", "_reshape_alias")

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(_VIEWS, reshape),
    **dict.fromkeys(("permute", "transpose", "t", "mT", "T", "numpy_T", "swapaxes", "swapdims"), permute),
    **dict.fromkeys(("movedim", "moveaxis"), move_axes),
    **dict.fromkeys(("cat", "concat", "concatenate", "hstack", "vstack", "dstack"), concat),
    "stack": stack,
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), expand),
    **dict.fromkeys(("repeat", "tile"), repeat),
    "repeat_interleave": repeat_interleave,
    "flip": flip,
    "roll": roll,
}
