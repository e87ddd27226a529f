"""Operators of a .tflite file that move values, and those that become a composition of ops."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from toolchain.load.tflite_loader import Loader
from toolchain.load.tflite_records import FileOp
from toolchain.load.tflite_slices import strided_slices
from toolchain.load.tflite_weighted import window_pads

Bounds = Sequence[tuple[int, int, int]]
"""(begin, end, stride) for each axis."""


# Moving values ----------------------------------------------------------------------------------------------

def add_reshape(load: Loader, op: FileOp, kind: str) -> None:
    """To the output's shape, whether the file says it in a constant, an option or a computed tensor."""
    load.emit_reshaped(op, load.named(op, 0))


def add_transpose(load: Loader, op: FileOp, kind: str) -> None:
    rank = len(load.source(op, 0).shape)
    perm = tuple(load.axis(op, axis, rank) for axis in load.integers(op, 1))
    load.emit(op, kind, [load.named(op, 0)], perm=perm)


def add_concat(load: Loader, op: FileOp, kind: str) -> None:
    """The uint8 kernel brings its inputs to the output's scale (ConcatenationWithScaling)."""
    axis, parts = load.axis(op, op.options["axis"], len(load.source(op, 0).shape)), []
    for index in op.inputs:
        part = load.name(op, index)
        parts.append(load.rescaled(part, op) if load.file.unsigned else part)
    _emit_joined(load, op, parts, axis)


def add_pack(load: Loader, op: FileOp, kind: str) -> None:
    """Each input with a new axis, then joined along it."""
    shape, output = load.source(op, 0).shape, load.output(op)
    axis = load.axis(op, op.options["axis"], len(shape) + 1)
    parts = [load.inner("reshape", [load.name(op, i)], f"{output.name}.part",
                        shape=(*shape[:axis], 1, *shape[axis:])) for i in op.inputs]
    _emit_joined(load, op, parts, axis)


def _emit_joined(load: Loader, op: FileOp, parts: Sequence[str], axis: int) -> None:
    """Parts joined along an axis; along the first, which an op leaves to the batch, behind a unit axis."""
    if axis:
        return load.emit(op, "concat", parts, axis=axis)
    name = load.output(op).name
    rows = [load.inner("reshape", [part], f"{name}.rows", shape=(1, *load.build.tensors[part].shape))
            for part in parts]
    joined = load.inner("concat", rows, f"{name}.joined", axis=1)
    if (made := load.build.tensors[joined].shape[1:]) != load.output(op).shape:
        raise load.bad(op, f"makes {made} but '{name}' is {load.output(op).shape}")
    return load.emit_reshaped(op, joined)


def _bounds_of(shape: tuple[int, ...], axis: int, begin: int, end: int) -> Bounds:
    return [(begin, end, 1) if i == axis else (0, n, 1) for i, n in enumerate(shape)]


def _slice_attrs(bounds: Bounds) -> dict[str, tuple[int, ...]]:
    return dict(zip(("begin", "end", "strides"), zip(*bounds, strict=True), strict=True))


def add_slice(load: Loader, op: FileOp, kind: str) -> None:
    shape = load.source(op, 0).shape
    begin, size = (load.integers(op, position) for position in (1, 2))
    bounds = [(b, n if count < 0 else b + count, 1) for b, count, n in zip(begin, size, shape, strict=True)]
    load.emit(op, "slice", [load.named(op, 0)], **_slice_attrs(bounds))


def add_strided_slice(load: Loader, op: FileOp, kind: str) -> None:
    """A slice, then the reshape that shrinks axes or adds new ones."""
    x, output = load.source(op, 0), load.output(op)
    bounds = strided_slices(x.shape, [load.source(op, i).data for i in (1, 2, 3)], op.options)
    sliced = tuple(-(-(end - begin) // stride) for begin, end, stride in bounds)
    if sliced == output.shape:
        load.emit(op, "slice", [load.named(op, 0)], **_slice_attrs(bounds))
    else:
        part = load.inner("slice", [load.named(op, 0)], f"{output.name}.slice", **_slice_attrs(bounds))
        load.emit_reshaped(op, part)


def _add_parts(load: Loader, op: FileOp, x: int, axis: int, sizes: Sequence[int]) -> None:
    """The output tensors are parts of input tensor `x`, one after another along `axis`."""
    shape, begin = load.file.tensors[x].shape, 0
    for position, size in enumerate(sizes):
        bounds = _bounds_of(shape, axis, begin, begin + size)
        load.emit(op, "slice", [load.name(op, x)], position=position, **_slice_attrs(bounds))
        begin += size


def add_split(load: Loader, op: FileOp, kind: str) -> None:
    """Inputs are (axis, x); parts of equal size."""
    shape = load.source(op, 1).shape
    axis = load.axis(op, load.integers(op, 0)[0], len(shape))
    if shape[axis] % len(op.outputs):
        raise load.bad(op, f"{len(op.outputs)} equal parts of {shape} along axis {axis}")
    _add_parts(load, op, op.inputs[1], axis, [shape[axis] // len(op.outputs)] * len(op.outputs))


def add_split_v(load: Loader, op: FileOp, kind: str) -> None:
    """Inputs are (x, sizes, axis); one size may be -1: what the others leave."""
    shape, sizes = load.source(op, 0).shape, list(load.integers(op, 1))
    axis = load.axis(op, load.integers(op, 2)[0], len(shape))
    if len(sizes) != len(op.outputs):
        raise load.bad(op, f"{len(sizes)} sizes for {len(op.outputs)} outputs")
    if -1 in sizes:
        sizes[sizes.index(-1)] = shape[axis] - sum(sizes) - 1
    _add_parts(load, op, op.inputs[0], axis, sizes)


def add_unpack(load: Loader, op: FileOp, kind: str) -> None:
    """Slices of size 1, without that axis."""
    shape = load.source(op, 0).shape
    axis = load.axis(op, op.options["axis"], len(shape))
    if len(op.outputs) != shape[axis]:
        raise load.bad(op, f"{len(op.outputs)} outputs of {shape} along axis {axis}")
    for i in range(shape[axis]):
        part = load.inner("slice", [load.named(op, 0)], f"{load.output(op, i).name}.slice",
                          **_slice_attrs(_bounds_of(shape, axis, i, i + 1)))
        load.emit_reshaped(op, part, position=i)


def add_gather(load: Loader, op: FileOp, kind: str) -> None:
    """Batch dimensions, all of size 1, the indices have in common with x."""
    x, indices, batch = load.source(op, 0), load.source(op, 1), op.options["batchDims"]
    axis = load.axis(op, op.options["axis"], len(x.shape))
    _require_indices(load, op, indices, x.shape[axis])
    batch = load.axis(op, batch, len(indices.shape)) if batch else 0
    rows = load.reshaped(load.named(op, 1), indices.shape[batch:], f"{indices.name}.rows")
    load.emit(op, kind, [load.named(op, 0), rows], axis=axis)


def _require_indices(load: Loader, op: FileOp, indices, size: int) -> None:
    if indices.data is None or not indices.data.size:
        return
    low, high = indices.data.min(), indices.data.max()
    if low < 0 or high >= size:
        raise load.bad(op, f"'{indices.name}' counts from {low} to {high} in an axis of {size}")


def add_embedding(load: Loader, op: FileOp, kind: str) -> None:
    """Inputs are (indices, table)."""
    _require_indices(load, op, load.source(op, 0), load.source(op, 1).shape[0])
    load.emit(op, "gather", [load.named(op, 1), load.named(op, 0)], axis=0)


def add_tile(load: Loader, op: FileOp, kind: str) -> None:
    load.emit(op, kind, [load.named(op, 0)], multiples=load.integers(op, 1))


def add_broadcast_to(load: Loader, op: FileOp, kind: str) -> None:
    """Unit axes in front, then a tile."""
    x, output = load.source(op, 0), load.output(op)
    aligned = (1,) * (len(output.shape) - len(x.shape)) + x.shape
    name = load.reshaped(load.named(op, 0), aligned, f"{output.name}.aligned")
    multiples = tuple(out if n == 1 else 1 for n, out in zip(aligned, output.shape, strict=True))
    load.emit(op, "tile", [name], multiples=multiples)


# Compositions -----------------------------------------------------------------------------------------------

def add_square(load: Loader, op: FileOp, kind: str) -> None:
    load.emit(op, "mul", [load.named(op, 0)] * 2)


def add_squared_difference(load: Loader, op: FileOp, kind: str) -> None:
    operands = [load.named(op, 0), load.named(op, 1)]
    difference = load.inner("sub", operands, f"{load.output(op).name}.difference")
    load.emit(op, "mul", [difference] * 2)


def add_add_n(load: Loader, op: FileOp, kind: str) -> None:
    *others, last = [load.name(op, i) for i in op.inputs]
    if not others:
        return load.emit_reshaped(op, last)
    total = others[0]
    for other in others[1:]:
        total = load.inner("add", [total, other], f"{load.output(op).name}.sum")
    return load.emit(op, "add", [total, last])


def add_clip(load: Loader, op: FileOp, kind: str) -> None:
    load.clip(op, load.named(op, 0), (-1.0, 1.0) if op.operator == "RELU_N1_TO_1" else (0.0, 1.0))


def add_argmin(load: Loader, op: FileOp, kind: str) -> None:
    """argmax of -x: of equal values, both take the first."""
    x = load.source(op, 0)
    negative = load.inner("neg", [load.named(op, 0)], f"{load.output(op).name}.negative")
    axis = load.axis(op, load.integers(op, 1)[0], len(x.shape))
    load.emit(op, "argmax", [negative], axis=axis, to=load.output(op).dtype)


def add_l2_normalization(load: Loader, op: FileOp, kind: str) -> None:
    """x / max(|x|, 1e-6) along the last axis (reference/l2normalization.h); of codes, in reals."""
    x, y, codes = load.named(op, 0), load.output(op).name, load.params(load.output(op)) is not None
    x = load.inner("dequantize", [x], f"{y}.reals") if codes else x
    squares = load.inner("mul", [x, x], f"{y}.squares")
    axes = (len(load.source(op, 0).shape) - 1,)
    total = load.inner("sum", [squares], f"{y}.total", axes=axes, keepdims=True)
    length = load.inner("sqrt", [total], f"{y}.length")
    safe = load.inner("maximum", [length, load.build.constant(f"{y}.least", np.float32([1e-6]))], f"{y}.safe")
    if codes:
        load.emit(op, "quantize", [load.inner("div", [x, safe], f"{y}.normal")])
    else:
        load.emit(op, "div", [x, safe], activation=load.attrs(op, "div")["activation"])


def add_l2_pool(load: Loader, op: FileOp, kind: str) -> None:
    """sqrt(average of squares) over what lies inside the input (reference/pooling.h)."""
    attrs, y = load.attrs(op, "average_pool2d"), load.output(op).name
    pads = window_pads(load, op, attrs, attrs["kernel"])
    activation = attrs.pop("activation")
    squares = load.inner("mul", [load.named(op, 0)] * 2, f"{y}.squares")
    average = load.inner("average_pool2d", [squares], f"{y}.average", pads=pads, **attrs)
    if activation is None:
        load.emit(op, "sqrt", [average])
    else:
        root = load.inner("sqrt", [average], f"{y}.root")
        load.emit(op, "add", [root, load.number(f"{y}.zero", 0.0, like=root)], activation=activation)


COMPOSE: Mapping[str, Callable[[Loader, FileOp, str], None]] = {
    "reshape": add_reshape, "transpose": add_transpose, "concat": add_concat, "pack": add_pack,
    "slice": add_slice, "strided_slice": add_strided_slice, "split": add_split, "split_v": add_split_v,
    "unpack": add_unpack, "gather": add_gather, "embedding": add_embedding, "tile": add_tile,
    "broadcast_to": add_broadcast_to, "square": add_square, "squared_difference": add_squared_difference,
    "add_n": add_add_n, "clip": add_clip, "argmin": add_argmin, "l2_normalization": add_l2_normalization,
    "l2_pool2d": add_l2_pool}
