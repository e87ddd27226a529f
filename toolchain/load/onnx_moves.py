"""Operators that move data (ONNX operator specification)."""

from collections.abc import Mapping
from math import prod

import numpy as np

from toolchain.ir.quant import dequantize
from toolchain.load.onnx_call import Call, Rule, Value, to_image

Bounds = list[tuple[int, int]]


def concat(call: Call) -> str:
    axis = call.axis(call.attr("axis"), call.operand(0))
    call.require(axis > 0, "joins batches; join along another axis")
    return call.emit("concat", [call.operand(i) for i in range(len(call.inputs))], axis=axis)


# Padding ---------------------------------------------------------------------------------------------------

def pad(call: Call) -> Value:
    """Attributes before opset 11, inputs since then: pads, value and, since 18, the axes they are for. A pad
    below 0 cuts off."""
    x, mode = call.activation(), call.attr("mode", "constant")
    pairs = _pairs(call, x)
    call.require(mode in PADS, f"mode={mode}; only {', '.join(PADS)} have a row")
    call.require(pairs[0] == (0, 0), "pads the batch; pad other axes")
    grown = tuple((max(a, 0), max(b, 0)) for a, b in pairs)
    cut = [(max(-a, 0), max(-b, 0)) for a, b in pairs]
    if any(map(any, cut)):
        shape = call.shape(x)
        bounds = [(before, n - behind) for n, (before, behind) in zip(shape, cut)]
        x = slice_of(call, x, "cut" if any(map(any, grown)) else "", bounds)
    return PADS[mode](call, x, grown) if any(map(any, grown)) else x


def _pairs(call: Call, x: str) -> Bounds:
    flat, rank = call.setting("pads", 1), call.rank(x)
    axes = [call.axis(axis, x) for axis in call.setting("axes", 3) or range(rank)]
    if len(flat) != 2 * len(axes):
        raise ValueError(f"{len(flat)} pads for {len(axes)} axes")
    pairs = dict(zip(axes, zip(flat[:len(axes)], flat[len(axes):])))
    return [pairs.get(axis, (0, 0)) for axis in range(rank)]


def _constant(call: Call, x: str, pads) -> str:
    """The value of codes is a code."""
    value, quant = call.setting("value", 2), call.build.tensors[x].quant
    value = value[0] if isinstance(value, tuple) else value
    if quant is not None:
        call.require(value is not None, "codes are padded without a value; give one")
        value = dequantize(value - (128 if call.input(2).dtype == np.uint8 else 0), quant)
    return call.emit("pad", [x], pads=pads, value=float(value or 0))


def _reflect(call: Call, x: str, pads) -> str:
    return call.emit("mirror_pad", [x], pads=pads, mode="reflect")


def _edge(call: Call, x: str, pads) -> str:
    """The outermost slices repeated, axis by axis."""
    last = max(axis for axis, both in enumerate(pads) if any(both))
    for axis, both in enumerate(pads):
        parts = [x]
        for count, end in zip(both, (0, -1)):
            if count:
                at = end % call.shape(x)[axis]
                bounds = [(at, at + 1) if a == axis else (0, n) for a, n in enumerate(call.shape(x))]
                border = slice_of(call, x, f"border{axis}", bounds)
                multiples = [count if a == axis else 1 for a in range(call.rank(x))]
                repeated = call.emit("tile", [border], f"repeated{axis}", multiples=multiples)
                parts.insert(0 if end == 0 else len(parts), repeated)
        if len(parts) > 1:
            x = call.emit("concat", parts, "" if axis == last else f"padded{axis}", axis=axis)
    return x


PADS = {"constant": _constant, "reflect": _reflect, "edge": _edge}


# Slices ----------------------------------------------------------------------------------------------------

def slice_of(call: Call, x: str, step: str, bounds, strides=None) -> str:
    begin, end = zip(*bounds)
    return call.emit("slice", [x], step, begin=begin, end=end, strides=strides or (1,) * len(begin))


def slice_(call: Call) -> Value:
    """Attributes before opset 10, inputs since then: starts, ends, axes, steps."""
    x = call.activation()
    given = [call.setting(name, i) for i, name in enumerate(("starts", "ends", "axes", "steps"), 1)]
    starts, ends = (values if isinstance(values, tuple) else (values,) for values in given[:2])
    axes = range(len(starts)) if given[2] is None else given[2]
    steps = (1,) * len(starts) if given[3] is None else given[3]
    shape = call.shape(x)
    picks = {call.axis(axis, x): _places(start, end, step, shape[axis])
             for start, end, axis, step in zip(starts, ends, axes, steps, strict=True)}
    call.require(all(picks.values()), "gives no elements at all")
    turned = {axis: picked for axis, picked in picks.items() if picked.step < 0}
    kept = [picks.get(axis, range(n)) if axis not in turned else range(n) for axis, n in enumerate(shape)]
    if kept == list(map(range, shape)) and not turned:
        return x
    if kept != list(map(range, shape)):
        bounds = [(p[0], p[-1] + 1) for p in kept]
        x = slice_of(call, x, "forward" if turned else "", bounds, tuple(p.step for p in kept))
    return pick(call, x, turned) if turned else x


def _places(start: int, end: int, step: int, size: int) -> range:
    """A slice backwards may end in front of the first element."""
    to_the_front = step < 0 and end < -size
    return range(*slice(start, None if to_the_front else end, step).indices(size))


def pick(call: Call, x: str, picks: Mapping[int, range]) -> str:
    """Along each axis the elements at these places."""
    call.bounded(sum(map(len, picks.values())))
    last = max(picks)
    for axis in sorted(picks):
        indices = call.fresh(f"indices{axis}", np.array(picks[axis], np.int64))
        x = call.emit("gather", [x, indices], "" if axis == last else f"picked{axis}", axis=axis)
    return x


def split(call: Call) -> tuple[str, ...]:
    """Sizes: an attribute before opset 13, an input since then; else equal parts, the last one smaller."""
    x, count = call.activation(), len(call.outputs)
    axis = call.axis(call.attr("axis", 0), x)
    call.require(axis > 0, "splits the batch; split along another axis")
    shape = call.shape(x)
    part = -(-shape[axis] // count)
    sizes = call.setting("split", 1) or [min(part, shape[axis] - i * part) for i in range(count)]
    ends = np.cumsum(sizes).tolist()
    if len(sizes) != count or ends[-1] != shape[axis]:
        raise ValueError(f"sizes {tuple(sizes)} do not split {shape} along axis {axis} into {count}")
    made = []
    for name, size, end in zip(call.outputs, sizes, ends):
        bounds = [(end - size, end) if a == axis else (0, n) for a, n in enumerate(shape)]
        begin, end_ = zip(*bounds)
        made.append(call.build.op("slice", [x], name, begin=begin, end=end_,
                                  strides=(1,) * len(shape)))
    return tuple(made)


def gather(call: Call) -> Value:
    """Known indices are a slice where they follow each other; one alone drops the axis."""
    indices, axis = call.input(1), call.attr("axis", 0)
    if isinstance(indices, str):
        x = call.operand(0)
        return call.emit("gather", [x, indices], axis=call.axis(axis, x))
    x = call.activation()
    axis, shape = call.axis(axis, x), call.shape(x)
    if indices.size and not (-shape[axis] <= indices.min() and indices.max() < shape[axis]):
        raise ValueError(f"indices {indices.min()} to {indices.max()} of {shape[axis]} along axis {axis}")
    at = np.where(indices < 0, indices + shape[axis], indices)
    flat = at.ravel().tolist()
    call.require(bool(flat), "gives no elements at all")
    if flat != list(range(flat[0], flat[0] + len(flat))):
        return call.emit("gather", [x, call.weight(1, f"of {shape[axis]}", at.astype(np.int64))], axis=axis)
    bounds = [(flat[0], flat[-1] + 1) if a == axis else (0, n) for a, n in enumerate(shape)]
    wanted = (*shape[:axis], *at.shape, *shape[axis + 1:])
    if at.ndim == 1:
        return x if len(flat) == shape[axis] else slice_of(call, x, "", bounds)
    return call.emit("reshape", [slice_of(call, x, "row", bounds)], shape=wanted)


def gather_elements(call: Call) -> str:
    """Along one axis, an index for each element: all elements in a row, and where in it each one lies."""
    x, indices = call.operand(0), call.operand(1)
    axis, shape, wanted = call.axis(call.attr("axis", 0), x), call.shape(x), call.shape(indices)
    call.bounded(len(wanted), *wanted)
    strides = [prod(shape[a + 1:]) for a in range(len(shape))]
    places = np.indices(wanted, np.int64)
    offsets = sum(places[a] * strides[a] for a in range(len(shape)) if a != axis)
    flat = call.emit("reshape", [x], "flat", shape=(prod(shape),))
    if strides[axis] != 1:
        indices = call.emit("mul", [indices, call.fresh("stride", np.array(strides[axis]))], "strided")
    at = call.emit("add", [indices, call.fresh("offsets", np.asarray(offsets))], "at")
    return call.emit("gather", [flat, at], axis=0)


# Repetition ------------------------------------------------------------------------------------------------

def tile(call: Call) -> Value:
    return _repeated(call, call.activation(), call.setting("repeats", 1))


def expand(call: Call) -> Value:
    """Broadcast to a shape."""
    x, wanted = call.activation(), call.setting("shape", 1)
    old = (1,) * (len(wanted) - call.rank(x)) + call.shape(x)
    full = np.broadcast_shapes(old, wanted)
    multiples = tuple(n // m for n, m in zip(full, old))
    if old != call.shape(x):
        x = call.emit("reshape", [x], "raised" if any(n > 1 for n in multiples) else "", shape=old)
    return _repeated(call, x, multiples)


def _repeated(call: Call, x: str, multiples) -> Value:
    return call.emit("tile", [x], multiples=multiples) if any(n != 1 for n in multiples) else x


# Shapes ----------------------------------------------------------------------------------------------------

def reshape(call: Call) -> str:
    """0 keeps a size (unless allowzero), -1 takes what is left."""
    x, wanted = call.activation(), call.setting("shape", 1)
    old = call.shape(x)
    if not call.attr("allowzero", 0):
        wanted = tuple(old[axis] if n == 0 else n for axis, n in enumerate(wanted))
    rest = prod(n for n in wanted if n != -1)
    return call.emit("reshape", [x], shape=tuple(prod(old) // rest if n == -1 else n for n in wanted))


def flatten(call: Call) -> str:
    x = call.activation()
    shape = call.shape(x)
    axis = call.attr("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return call.emit("reshape", [x], shape=(prod(shape[:axis]), prod(shape[axis:])))


def squeeze(call: Call) -> str:
    x, axes = call.activation(), call.setting("axes", 1)
    shape = call.shape(x)
    axes = {call.axis(axis, x) for axis in axes} if axes else {axis for axis, n in enumerate(shape) if n == 1}
    return call.emit("reshape", [x], shape=tuple(n for axis, n in enumerate(shape) if axis not in axes))


def unsqueeze(call: Call) -> str:
    x, axes = call.activation(), call.setting("axes", 1)
    axes = axes if isinstance(axes, tuple) else (axes,)
    sizes, rank = iter(call.shape(x)), call.rank(x) + len(axes)
    axes = {axis % rank for axis in axes}
    return call.emit("reshape", [x], shape=tuple(1 if axis in axes else next(sizes) for axis in range(rank)))


def transpose(call: Call) -> str:
    x = call.activation()
    return call.emit("transpose", [x], perm=call.attr("perm", tuple(reversed(range(call.rank(x))))))


def identity(call: Call) -> Value:
    return call.activation()


def dropout(call: Call) -> Value:
    call.require(not call.setting("training_mode", 2),
                 "in training mode; export the model in evaluation mode")
    return call.activation()


def shape(call: Call) -> Value:
    sizes = np.array(call.shape(call.activation()), np.int64)
    return sizes[call.attr("start", 0):call.attr("end", len(sizes))]


def size(call: Call) -> Value:
    return np.array(prod(call.shape(call.activation())), np.int64)


# Blocks ----------------------------------------------------------------------------------------------------

def depth_to_space(call: Call) -> str:
    """Of mode CRD the channels are put in the order of DCR first."""
    x, block = call.activation(), call.attr("blocksize")
    channels = call.shape(x)[1] // block**2
    if call.attr("mode", "DCR") == "CRD" and channels > 1 and block > 1:
        order = np.arange(channels * block**2).reshape(channels, block**2).T.ravel()
        x = call.emit("gather", [x, call.fresh("order", order)], "ordered", axis=1)
    y = call.emit("depth_to_space", [to_image(call, x)], "depth_to_space", block=block)
    return call.emit("transpose", [y], perm=(0, 3, 1, 2))


def space_to_depth(call: Call) -> str:
    y = call.emit("space_to_depth", [to_image(call, call.activation())], "space_to_depth",
                  block=call.attr("blocksize"))
    return call.emit("transpose", [y], perm=(0, 3, 1, 2))


MOVES: Mapping[str, Rule] = {
    "Concat": concat,
    "Pad": pad,
    "Slice": slice_,
    "Split": split,
    "Gather": gather,
    "GatherElements": gather_elements,
    "Tile": tile,
    "Expand": expand,
    "Reshape": reshape,
    "Flatten": flatten,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Transpose": transpose,
    "Identity": identity,
    "Dropout": dropout,
    "Shape": shape,
    "Size": size,
    "DepthToSpace": depth_to_space,
    "SpaceToDepth": space_to_depth,
}
