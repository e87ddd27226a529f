"""What a .tflite file computes from constants and shapes alone, computed: its shape arithmetic, float16
weights behind a DEQUANTIZE, tables that are quantized in the file and real in the network.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
import math

import numpy as np

from toolchain.errors import BadModel
from toolchain.load.tflite_file import MAX_CONSTANT_BYTES
from toolchain.load.tflite_hybrid import float_weight
from toolchain.load.tflite_records import FileOp, FileTensor, TFLiteFile
from toolchain.load.tflite_slices import strided_slices

PLAIN = frozenset({"int32", "int64", "float32", "float16", "bool"})
"""dtypes of constants that are numbers, not codes."""
Fold = Callable[[FileOp, FileTensor, Sequence[FileTensor]], np.ndarray]
"""(operator, its output, its inputs) -> the output's values."""


def folded(file: TFLiteFile) -> TFLiteFile:
    """The file without operators whose inputs are constants; what they made is a constant.

    Only operators in FOLDS, and none that makes an output of the file. Raises BadModel where one cannot be
    computed.
    """
    tensors, ops, spent = list(file.tensors), [], 0
    for op in file.ops:
        inputs = [tensors[i] for i in op.inputs if i >= 0]
        if not _foldable(file, op, inputs):
            ops.append(op)
            continue
        output = tensors[op.outputs[0]]
        spent += math.prod(output.shape) * 8
        if spent > MAX_CONSTANT_BYTES:
            raise BadModel(f"{file.name}: what it computes from constants takes more than "
                           f"{MAX_CONSTANT_BYTES:,} bytes; fold its constants before export")
        tensors[output.index] = _constant(file, op, output, inputs)
    return replace(file, tensors=tuple(tensors), ops=tuple(ops))


def _foldable(file: TFLiteFile, op: FileOp, inputs: Sequence[FileTensor]) -> bool:
    if op.operator not in FOLDS or len(op.outputs) != 1 or op.outputs[0] in file.outputs:
        return False
    known = all(t.data is not None for t in inputs) or (op.operator in ("SHAPE", "RANK") and len(inputs) == 1)
    plain = all(t.dtype in PLAIN or op.operator == "DEQUANTIZE" for t in inputs)
    return bool(inputs) and known and plain and not op.options.get("fusedActivationFunction")


def _constant(file: TFLiteFile, op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> FileTensor:
    try:
        _require_declared_size(op, output, inputs)
        with np.errstate(all="ignore"):
            data = np.asarray(FOLDS[op.operator](op, output, inputs))
        data = data.astype(output.dtype, order="C").reshape(output.shape)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, OverflowError, MemoryError) as error:
        raise BadModel(f"{file.name}: op {op.index} {op.operator}: {error}; the file contradicts itself: "
                       f"export it again") from None
    return replace(output, data=data, scale=output.scale[:0], zero_point=output.zero_point[:0])


def _require_declared_size(op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> None:
    """Before anything is computed: a small file can describe an endless constant."""
    if op.operator in ("CONCATENATION", "PACK"):
        size = sum(t.data.size for t in inputs)
    elif op.operator == "GATHER":
        x, indices = (t.data for t in inputs)
        size = x.size // max(x.shape[op.options["axis"]], 1) * indices.size
    elif op.operator in ELEMENTWISE:
        size = math.prod(np.broadcast_shapes(*(t.shape for t in inputs)))
    else:
        return
    if size != math.prod(output.shape):
        raise ValueError(f"makes {size:,} values for an output of shape {output.shape}")


def _plain(function: Callable) -> Fold:
    """Of the inputs' values."""
    return lambda op, output, inputs: function(*(t.data for t in inputs))


def _dequantize(op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> np.ndarray:
    return inputs[0].data if inputs[0].dtype in PLAIN else float_weight(inputs[0])


def _slice(op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> np.ndarray:
    x, begin, size = (t.data for t in inputs)
    return x[tuple(slice(b, None if n < 0 else b + n) for b, n in zip(begin.tolist(), size.tolist()))]


def _strided_slice(op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> np.ndarray:
    x, *vectors = (t.data for t in inputs)
    return x[tuple(slice(a, b, step) for a, b, step in strided_slices(x.shape, vectors, op.options))]


def _of_declared_size(op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> np.ndarray:
    """FILL (shape, value), BROADCAST_TO (x, shape): nothing larger than the output says is made."""
    return np.broadcast_to(inputs[op.operator == "FILL"].data, output.shape)


def _range(op: FileOp, output: FileTensor, inputs: Sequence[FileTensor]) -> np.ndarray:
    start, limit, delta = (t.data.item() for t in inputs)
    if math.ceil((limit - start) / delta) != math.prod(output.shape):
        raise ValueError(f"a range from {start} to {limit} by {delta} is not of shape {output.shape}")
    return np.arange(start, limit, delta)


def _divide(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.trunc(a / b) if a.dtype.kind == "i" else a / b


ELEMENTWISE: Mapping[str, Callable] = {
    "ADD": np.add, "SUB": np.subtract, "MUL": np.multiply, "DIV": _divide, "FLOOR_DIV": np.floor_divide,
    "FLOOR_MOD": np.mod, "NEG": np.negative, "MINIMUM": np.minimum, "MAXIMUM": np.maximum, "EQUAL": np.equal,
    "NOT_EQUAL": np.not_equal, "LESS": np.less, "GREATER": np.greater, "SELECT": np.where,
    "SELECT_V2": np.where}
FOLDS: Mapping[str, Fold] = {
    "SHAPE": lambda op, output, inputs: np.array(inputs[0].shape),
    "RANK": lambda op, output, inputs: np.array(len(inputs[0].shape)),
    "DEQUANTIZE": _dequantize,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
    "FILL": _of_declared_size,
    "BROADCAST_TO": _of_declared_size,
    "RANGE": _range,
    "CONCATENATION": lambda op, output, inputs: np.concatenate([t.data for t in inputs], op.options["axis"]),
    "PACK": lambda op, output, inputs: np.stack([t.data for t in inputs], op.options["axis"]),
    "GATHER": lambda op, output, inputs: np.take(inputs[0].data, inputs[1].data, op.options["axis"]),
    **dict.fromkeys(("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "CAST"), lambda op, output, inputs: inputs[0].data),
    "TRANSPOSE": _plain(lambda x, perm: x.transpose(perm.tolist())),
    "REDUCE_PROD": _plain(lambda x, axes: np.prod(x, tuple(axes.reshape(-1).tolist()))),
    **{operator: _plain(function) for operator, function in ELEMENTWISE.items()},
}
"""Operators that shape arithmetic and stored tables are made of."""
