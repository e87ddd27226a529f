"""Parts of tensors, taken out or put around."""

from collections.abc import Mapping
import math

import numpy as np

from toolchain.load.aten_call import (
    LARGEST,
    Call,
    Constant,
    Rule,
    activation,
    axis_beside_batch,
    constant,
    cut,
)


def slice_(call: Call) -> str:
    """start:end:step along an axis; narrow by its length."""
    x = activation(call)
    axis = call["dim"] % len(call.shape(x))
    size = call.shape(x)[axis]
    if "length" in call.args:
        start = call["start"] % size if call["start"] < 0 else call["start"]
        span = slice(start, start + call["length"])
    else:
        span = slice(*slice(call["start"], call["end"], call["step"]).indices(size))
    return x if (span.start, span.stop, span.step or 1) == (0, size, 1) else cut(call, x, axis, span, "")


def select(call: Call) -> str:
    x = activation(call)
    if x in call.rows and call["dim"] % len(call.shape(x)) == 0:
        return call.emit("reshape", [call.rows[x][call["index"]]], shape=call.result)
    axis = axis_beside_batch(call, x, call["dim"])
    return _one(call, x, axis, call["index"] % call.shape(x)[axis], "")


def _one(call: Call, x: str, axis: int, index: int, label: str) -> str:
    """The slice at one index of an axis, without that axis."""
    y = cut(call, x, axis, slice(index, index + 1), f"at{label}") if call.shape(x)[axis] > 1 else x
    shape = call.shape(x)
    return call.emit("reshape", [y], shape=(*shape[:axis], *shape[axis + 1:]))


def split(call: Call) -> tuple[str, ...]:
    """split, chunk, tensor_split: the shapes of the results say where."""
    x = activation(call)
    axis = axis_beside_batch(call, x, call.get("dim", default=1))
    ends = np.cumsum([shape[axis] for shape in call.result])
    spans = [slice(int(end) - shape[axis], int(end)) for end, shape in zip(ends, call.result)]
    return tuple(cut(call, x, axis, span, "") for span in spans)


def unbind(call: Call) -> tuple[str, ...]:
    x = activation(call)
    axis = axis_beside_batch(call, x, call["dim"])
    return tuple(_one(call, x, axis, index, str(index)) for index in range(call.shape(x)[axis]))


# By index ---------------------------------------------------------------------------------------------------

def index_select(call: Call) -> str:
    x = activation(call)
    return _gathered(call, x, axis_beside_batch(call, x, call["dim"]), call["index"])


def _gathered(call: Call, x: str, axis: int, index) -> str:
    """By constant positions, where negative ones count from the end, or by what the network computes."""
    if isinstance(index, Constant):
        positions = index.array % call.shape(x)[axis]
        index = call.build.constant(f"{call.name}.index", positions.astype(np.int32))
    return call.emit("gather", [x, index], axis=axis)


def embedding(call: Call) -> str:
    """A row of a constant table for each index."""
    table, index = constant(call, "weight"), call["indices"]
    return call.emit("gather", [call.tensor(table, role="weight"), index], axis=0)


def index(call: Call) -> str:
    """x[:, a], x[:, a, b]: constants along neighbouring axes, or one computed index."""
    value, indices = call["self"], call["indices"]
    used = [axis for axis, index in enumerate(indices) if index is not None]
    if isinstance(value, Constant):
        call.require(used == [0], "indexes several axes of a constant; only one has a row")
        return call.emit("gather", [call.tensor(value, call.dtype, "table"), indices[0]], axis=0)
    call.require(used[0] > 0, "indexes the batch; index another axis")
    if len(used) == 1 and not _is_mask(indices[used[0]]):
        return _gathered(call, value, used[0], indices[used[0]])
    return _flat_index(call, value, used, indices)


def _is_mask(index) -> bool:
    return isinstance(index, Constant) and index.array.dtype == bool


def _flat_index(call: Call, x: str, used: list[int], indices) -> str:
    """Constants along neighbouring axes: the axes are merged, and so are the positions along them."""
    call.require(all(isinstance(indices[a], Constant) for a in used), "is indexed along several axes by what "
                 "the network computes; only constants have a row")
    arrays = [part for a in used for part in (
        np.nonzero(indices[a].array) if _is_mask(indices[a]) else [indices[a].array])]
    call.require(used == list(range(used[0], used[0] + len(used))),
                 "is indexed along axes apart; index one after the other")
    shape, end = call.shape(x), used[0] + len(arrays)
    sizes = shape[used[0]:end]
    arrays = [array % size for array, size in zip(np.broadcast_arrays(*arrays), sizes)]
    positions = np.ravel_multi_index(tuple(arrays), sizes)
    merged = call.emit("reshape", [x], "merged", shape=(*shape[:used[0]], math.prod(sizes), *shape[end:]))
    return _gathered(call, merged, used[0], Constant("", positions))


# Padding ----------------------------------------------------------------------------------------------------

def pad(call: Call) -> str:
    """torch lists (before, after) from the last axis backwards; a negative one cuts off."""
    x, flat, mode = activation(call), list(call["pad"]), call.get("mode", default="constant")
    rank = len(call.shape(x))
    pairs = [(0, 0)] * (rank - len(flat) // 2) + list(zip(flat[::2], flat[1::2]))[::-1]
    call.require(pairs[0] == (0, 0), "pads the batch; keep it 1")
    for axis, (before, after) in enumerate(pairs):
        if min(before, after) < 0:
            call.require(mode == "constant", f"pad={flat} with mode={mode!r}; slice instead")
            span = slice(max(0, -before), call.shape(x)[axis] - max(0, -after))
            x = cut(call, x, axis, span, f"cut{axis}")
    pads = tuple((max(0, before), max(0, after)) for before, after in pairs)
    if any(map(any, pads)):
        return PADDING[mode](call, x, pads)
    return call.emit("reshape", [x], shape=call.result)


def _constant_pad(call: Call, x: str, pads) -> str:
    value = float(call.get("value") or 0)
    return call.emit("pad", [x], pads=pads, value=min(max(value, -LARGEST), LARGEST))


def _mirror_pad(call: Call, x: str, pads) -> str:
    return call.emit("mirror_pad", [x], pads=pads, mode="reflect")


def _edge_pad(call: Call, x: str, pads) -> str:
    """One axis after the other: copies of the first and last slice around."""
    def edges(x: str, axis: int, before: int, after: int) -> list[str]:
        size = call.shape(x)[axis]
        return [_copies(call, cut(call, x, axis, slice(at, at + 1), f"{side}{axis}"), axis, count)
                if count else "" for side, at, count in (("first", 0, before), ("last", size - 1, after))]

    return _around(call, x, pads, edges)


def _copies(call: Call, x: str, axis: int, count: int) -> str:
    if count == 1:
        return x
    multiples = tuple(count if at == axis else 1 for at in range(len(call.shape(x))))
    return call.emit("tile", [x], f"copies{axis}", multiples=multiples)


def _circular_pad(call: Call, x: str, pads) -> str:
    """What stands at the other end."""
    def ends(x: str, axis: int, before: int, after: int) -> list[str]:
        size = call.shape(x)[axis]
        return [cut(call, x, axis, span, f"{side}{axis}") if count else "" for side, span, count in (
            ("last", slice(size - before, size), before), ("first", slice(0, after), after))]

    return _around(call, x, pads, ends)


def _around(call: Call, x: str, pads, ends) -> str:
    """`x` between what `ends(x, axis, before, after)` gives for each axis that is padded."""
    axes = [axis for axis, both in enumerate(pads) if any(both)]
    for axis in axes:
        before, after = ends(x, axis, *pads[axis])
        x = call.emit("concat", [part for part in (before, x, after) if part],
                      "" if axis == axes[-1] else f"padded{axis}", axis=axis)
    return x


PADDING: Mapping[str, Rule] = {"constant": _constant_pad, "reflect": _mirror_pad, "replicate": _edge_pad,
                               "circular": _circular_pad}
"""Mode -> (call, x, pads for each axis) -> the padded tensor."""

RULES: Mapping[str, Rule] = {
    **dict.fromkeys(("slice", "narrow"), slice_),
    "select": select,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split", "hsplit"), split),
    "unbind": unbind,
    "index_select": index_select,
    "index": index,
    "embedding": embedding,
    **dict.fromkeys(("pad", "constant_pad_nd"), pad),
}
