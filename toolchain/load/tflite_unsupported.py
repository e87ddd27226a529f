"""What a .tflite file holds that the toolchain has no row for: all at once, before anything is built."""

from collections.abc import Iterator
import math

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.errors import BadModel
from toolchain.ir.check import WEIGHTED
from toolchain.load.tflite_file import FileOp, FileTensor, TFLiteFile
from toolchain.load.tflite_schema import BUILTIN, CODES

KIND = {row.operator: kind for kind, row in BUILTIN.items()} | {
    "SQUEEZE": "reshape", "EXPAND_DIMS": "reshape", "PADV2": "pad"}
"""Builtin operator -> kind of op."""
ACTIVATION_KIND = {code: kind for kind, code in CODES["activation"].items()}

_INPUTS = {"CONV_2D": (2, 3), "DEPTHWISE_CONV_2D": (2, 3), "FULLY_CONNECTED": (2, 3), "ADD": (2, 2),
           "SUB": (2, 2), "MUL": (2, 2), "MEAN": (2, 2), "PAD": (2, 2), "PADV2": (3, 3), "TRANSPOSE": (2, 2),
           "RESHAPE": (1, 2), "EXPAND_DIMS": (2, 2), "CONCATENATION": (1, math.inf)}
"""Fewest and most input tensors; one where an operator is not listed."""
_AS_IT_IS = "replace it in the source network, or bench the file as it is"


def problems(file: TFLiteFile) -> list[str]:
    """One line for each port or op that has no row. Raises BadModel where an op lacks inputs or outputs."""
    found = list(_port_problems(file))
    for op in file.ops:
        if why := "; ".join(_op_problems(file, op)):
            found.append(f"op {op.index} {op.operator} '{file.tensors[op.outputs[0]].name}': {why}")
    return found


def pads_lowest(file: TFLiteFile, op: FileOp) -> bool:
    """Whether it is a PADV2 that pads with the lowest number or code, which no max pool picks."""
    if op.operator != "PADV2":
        return False
    value = file.tensors[op.inputs[2]]
    return bool(value.data.reshape(-1)[0] <= (np.finfo(np.float32).min if value.dtype == "float32" else -128))


def only_feeds_max_pools(file: TFLiteFile, op: FileOp) -> bool:
    """Whether a padding op pads height and width only, and only for max pools without pads of their own."""
    pads, output = file.tensors[op.inputs[1]].data, op.outputs[0]
    return pads.shape == (4, 2) and not pads[[0, 3]].any() and output not in file.not_only_max_pooled


def _port_problems(file: TFLiteFile) -> Iterator[str]:
    for tensor in (file.tensors[i] for i in (*file.inputs, *file.outputs)):
        if tensor.dtype not in ("float32", "int8", "uint8"):
            yield f"input or output '{tensor.name}': dtype {tensor.dtype}; float32, int8 and uint8 have rows"
    for tensor in (file.tensors[i] for i in file.inputs):
        if not tensor.shape or tensor.shape[0] != 1:
            yield f"input '{tensor.name}': shape {tensor.shape} is a fixed batch; export it with batch 1"
        elif -1 in (tensor.signature or ())[1:]:
            yield f"input '{tensor.name}': shape {tensor.signature} is open beyond the batch; export it fixed"


def _op_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    kind = KIND.get(op.operator)
    if kind is None:
        yield f"no row for this operator; {_AS_IT_IS}"
        return
    low, high = _INPUTS.get(op.operator, (1, 1))
    if not low <= len(op.inputs) <= high or -1 in op.inputs[:low] or len(op.outputs) != 1:
        raise BadModel(f"{file.name}: op {op.index} {op.operator} has inputs {op.inputs}, "
                       f"outputs {op.outputs}; the file is damaged: copy or export it again")
    tensors = [file.tensors[i] for i in (*op.inputs, *op.outputs) if i >= 0]
    strange = [f"tensor '{t.name}': {t.unusual}" for t in tensors if t.unusual]
    yield from strange or _type_problems(file, op, kind) or _kind_problems(file, op, kind)


def _type_problems(file: TFLiteFile, op: FileOp, kind: str) -> list[str]:
    """Of the activations: an op's are all float32 or all int8; only the borders of an int8 part convert."""
    borders = {"quantize": ({"float32", "int8", "uint8"}, {"int8", "uint8"}),
               "dequantize": ({"int8", "uint8"}, {"float32"})}
    taken, given = borders.get(kind, ({"float32", "int8"},) * 2)
    data = op.inputs[:1] if BUILTIN[kind].constants or kind in WEIGHTED else op.inputs
    reads, makes = [file.tensors[i] for i in data], file.tensors[op.outputs[0]]
    allowed = [*((t, taken) for t in reads), (makes, given)]
    found = [f"tensor '{t.name}' is {t.dtype}; {' and '.join(sorted(dtypes))} have rows here"
             for t, dtypes in allowed if t.dtype not in dtypes]
    found += [f"activation '{t.name}' is quantized per channel; per tensor has a row"
              for t in (*reads, makes) if t.scale.size > 1 and t.dtype != "float32"]
    if kind not in borders and len({t.dtype for t in (*reads, makes)}) > 1:
        found.append(f"mixes {', '.join(f'{t.dtype} {t.name}' for t in (*reads, makes))}")
    return found


def _kind_problems(file: TFLiteFile, op: FileOp, kind: str) -> Iterator[str]:
    activation = op.options.get("fusedActivationFunction", 0)
    if activation not in ACTIVATION_KIND:
        names = {code: name for name, code in vars(schema.ActivationFunctionType).items()}
        yield f"fused activation {names.get(activation, activation)}; NONE, RELU and RELU6 have rows"
    if kind in WEIGHTED:
        yield from _weight_problems(file, op, kind)
    operands = op.inputs[1:] if BUILTIN[kind].constants and kind != "reshape" else ()
    computed = [file.tensors[i].name for i in operands if i >= 0 and file.tensors[i].data is None]
    if computed:
        yield f"'{computed[0]}' is computed while it runs; it must be a constant"
    elif op.operator == "PADV2":
        yield from _pad_value_problems(file, op)
    if kind == "dequantize" and file.tensors[op.inputs[0]].data is not None:
        yield "dequantizes a constant; export it in float32 or in int8"


def _weight_problems(file: TFLiteFile, op: FileOp, kind: str) -> Iterator[str]:
    x, weight, output = (file.tensors[i] for i in (*op.inputs[:2], op.outputs[0]))
    bias = file.tensors[op.inputs[2]] if op.inputs[2:] and op.inputs[2] >= 0 else None
    if weight.data is None or (bias is not None and bias.data is None):
        yield "weight and bias must be constants"
    if weight.dtype not in ({"float32", "int8"} if x.dtype == "float32" else {"int8"}):
        yield f"weight '{weight.name}' is {weight.dtype} under {x.dtype} activations"
    elif weight.dtype == "int8" and (not weight.scale.size or weight.zero_point.any()):
        yield f"weight '{weight.name}' must be quantized with zero point 0, as the TFLite specification says"
    elif weight.scale.size > 1 and weight.axis != WEIGHTED[kind]:
        yield f"weight '{weight.name}' is quantized along axis {weight.axis}; axis {WEIGHTED[kind]} has a row"
    if bias is not None and bias.dtype != ("float32" if x.dtype == "float32" else "int32"):
        yield f"bias '{bias.name}' is {bias.dtype} under {x.dtype} activations"
    yield from _shape_problems(op, kind, x, weight, output)


def _shape_problems(op: FileOp, kind: str, x: FileTensor, weight: FileTensor,
                    output: FileTensor) -> Iterator[str]:
    if kind == "conv2d" and len(x.shape) == len(weight.shape) == 4 and 0 < weight.shape[3] < x.shape[3]:
        yield f"{x.shape[3] // weight.shape[3]} groups; ungrouped and depthwise convolutions have rows"
    if kind == "fully_connected":
        if op.options["weightsFormat"]:
            yield "shuffled weights; export with the default format"
        rows = np.prod(output.shape[:-1], dtype=np.int64)
        if rows != 1:
            yield f"works on {rows} rows of '{x.name}' {x.shape} at once; as a 1x1 convolution it has a row"


def _pad_value_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    x, value = file.tensors[op.inputs[0]], file.tensors[op.inputs[2]]
    zero = int(x.zero_point[0]) if x.zero_point.size else 0
    if value.dtype != x.dtype or value.data.size != 1:
        yield f"pad value '{value.name}' is {value.dtype} {value.shape}, the input is {x.dtype}"
    elif value.data.reshape(-1)[0] != zero and not (pads_lowest(file, op) and only_feeds_max_pools(file, op)):
        yield (f"pads with {value.data.reshape(-1)[0]}; 0 (in int8: the zero point) has a row, "
               f"and the lowest value before a VALID max pool")
