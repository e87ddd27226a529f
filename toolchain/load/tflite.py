"""Door in: a .tflite file, in floats or integers, as a Graph with the file's tensor names and exact
quantization.

Literal but for: SAME becomes explicit pads, a missing bias zeros; what is padded before a max pool and
changes no maximum becomes the pool's own pads; a FULLY_CONNECTED that is not on two dimensions gets reshapes,
on many rows it is a 1x1 convolution; operators without a kind of op become compositions, a sequence LSTM a
loop; what is computed from constants alone is computed; integer weights under float activations are
dequantized.
"""

from collections.abc import Callable, Mapping

from toolchain.errors import BadGraph, Unsupported
from toolchain.ir.graph import Graph
from toolchain.load.tflite_compose import COMPOSE
from toolchain.load.tflite_file import MAX_ELEMENTS, read_decomposed
from toolchain.load.tflite_fold import folded
from toolchain.load.tflite_hybrid import is_hybrid
from toolchain.load.tflite_loader import Loader
from toolchain.load.tflite_operators import NO_REFERENCE_KERNEL, OPERATORS
from toolchain.load.tflite_records import FileOp
from toolchain.load.tflite_recurrent import add_lstm
from toolchain.load.tflite_unsigned import is_unsigned, signed
from toolchain.load.tflite_unsupported import only_feeds_max_pools, pad_value, pads_lowest, problems
from toolchain.load.tflite_weighted import add_convolution, add_fully_connected, add_transposed, window_pads


def load_tflite(model: bytes, name: str) -> Graph:
    """The graph of a file's bytes.

    Raises BadModel where the bytes are damaged or contradict themselves, Unsupported listing every op, type
    and shape without a row.
    """
    file = signed(folded(read_decomposed(model, name)))
    if found := problems(file):
        raise Unsupported.listing(name, found)
    load = Loader(file)
    for op in file.ops:
        kind = OPERATORS[op.operator].kind
        try:
            _ADD.get(kind, _add_plain)(load, op, kind)
        except (BadGraph, ValueError, IndexError) as error:
            raise load.bad(op, str(error)) from None
    return load.graph()


def has_reference_kernels(model: bytes, name: str) -> bool:
    """Whether LiteRT 2.3 has plain, right kernels for all operators of an integer file.

    Its own run the others as exactly, but SUM, which is a code off at times.
    """
    file = read_decomposed(model, name)
    lacking = NO_REFERENCE_KERNEL["uint8" if is_unsigned(file) else "int8"]
    return lacking.isdisjoint(op.operator for op in file.ops)


def _add_plain(load: Loader, op: FileOp, kind: str) -> None:
    load.emit(op, kind, [load.name(op, i) for i in op.inputs], **load.attrs(op, kind))


def _add_batch_matmul(load: Loader, op: FileOp, kind: str) -> None:
    b = load.dequantized(op.inputs[1]) if is_hybrid(load.file, op) else load.named(op, 1)
    load.emit(op, kind, [load.named(op, 0), b], **load.attrs(op, kind))


def _add_pool(load: Loader, op: FileOp, kind: str) -> None:
    attrs = load.attrs(op, kind)
    pads = window_pads(load, op, attrs, attrs["kernel"])
    x, pads = load.lowest_pads.get(op.inputs[0], (op.inputs[0], pads))
    load.emit(op, kind, [load.name(op, x)], pads=pads, **attrs)


def _add_reduction(load: Loader, op: FileOp, kind: str) -> None:
    """Over the first axis too: a reshape leaves it out. Where it is no batch of 1, it goes behind one."""
    shape, attrs, output = load.source(op, 0).shape, load.attrs(op, kind), load.output(op)
    axes = tuple(dict.fromkeys(load.axis(op, axis, len(shape)) for axis in load.integers(op, 1)))
    if 0 not in axes:
        load.emit(op, kind, [load.named(op, 0)], axes=axes, **attrs)
        return
    lifted = shape[0] != 1
    inner = tuple(axis + lifted for axis in axes if axis or lifted)
    name = load.reshaped(load.named(op, 0), (1,) * lifted + shape, f"{output.name}.lifted")
    if inner:
        name = load.build.op(kind, [name], f"{output.name}.sample", axes=inner, keepdims=True,
                             quant=load.params(output))
    load.emit_reshaped(op, name)


def _add_argmax(load: Loader, op: FileOp, kind: str) -> None:
    axis = load.axis(op, load.integers(op, 1)[0], len(load.source(op, 0).shape))
    load.emit(op, kind, [load.named(op, 0)], axis=axis, to=load.output(op).dtype)


def _add_cast(load: Loader, op: FileOp, kind: str) -> None:
    load.emit(op, kind, [load.named(op, 0)], to=load.output(op).dtype)


def _add_resize(load: Loader, op: FileOp, kind: str) -> None:
    load.emit(op, kind, [load.named(op, 0)], size=load.integers(op, 1), **load.attrs(op, kind))


def _pads(load: Loader, op: FileOp) -> tuple[tuple[int, int], ...]:
    x, pads = load.source(op, 0), load.source(op, 1).data
    if pads.shape != (len(x.shape), 2) or pads.min() < 0 or pads.max() > MAX_ELEMENTS:
        raise load.bad(op, f"pads {pads.tolist()} on input {x.shape}")
    return tuple((int(before), int(after)) for before, after in pads)


def _add_pad(load: Loader, op: FileOp, kind: str) -> None:
    """PAD or PADV2; what no maximum sees is left to the max pools after it."""
    pads, name = _pads(load, op), load.named(op, 0)
    unseen = pads_lowest(load.file, op) or (not pad_value(load.file, op) and load.never_negative(name))
    if unseen and only_feeds_max_pools(load.file, op):
        load.lowest_pads[op.outputs[0]] = op.inputs[0], (*pads[1], *pads[2])
    else:
        load.emit(op, kind, [name], pads=pads, value=pad_value(load.file, op))


def _add_mirror_pad(load: Loader, op: FileOp, kind: str) -> None:
    load.emit(op, kind, [load.named(op, 0)], pads=_pads(load, op), **load.attrs(op, kind))


_ADD: Mapping[str, Callable[[Loader, FileOp, str], None]] = {
    **COMPOSE, "conv2d": add_convolution, "depthwise_conv2d": add_convolution,
    "transpose_conv2d": add_transposed, "fully_connected": add_fully_connected,
    "lstm": add_lstm, "batch_matmul": _add_batch_matmul, "average_pool2d": _add_pool, "max_pool2d": _add_pool,
    **dict.fromkeys(("mean", "sum", "reduce_max", "reduce_min"), _add_reduction), "argmax": _add_argmax,
    "cast": _add_cast, "resize_nearest": _add_resize, "resize_bilinear": _add_resize, "pad": _add_pad,
    "mirror_pad": _add_mirror_pad}
