"""What a .tflite file holds that the toolchain has no row for: all at once, before anything is built."""

from collections.abc import Iterator, Mapping

from ai_edge_litert import schema_py_generated as schema
import numpy as np

from toolchain.errors import BadModel
from toolchain.ir.check import BIAS, INTEGER, WEIGHTED
from toolchain.ir.ops import PLAIN
from toolchain.ir.quant import RANGE
from toolchain.load.tflite_operators import CONTROL_FLOW, OPERATORS, Operator
from toolchain.load.tflite_records import FileOp, FileTensor, TFLiteFile
from toolchain.load.tflite_schema import CODES

CLIPS: Mapping[str, tuple[float, float]] = {"relu_n1_to_1": (-1.0, 1.0)}
"""Fused activations that are no attribute of an op: a minimum and a maximum after it."""
FUSED_CLIPS: Mapping[int, str] = {schema.ActivationFunctionType.RELU_N1_TO_1: "relu_n1_to_1"}
_FUSED = {*CODES["activation"].values(), *FUSED_CLIPS}
_FUSED_NAME = {code: name for name, code in vars(schema.ActivationFunctionType).items()}
LSTM_GATES = (*range(1, 9), *range(12, 16))
"""Inputs of a sequence LSTM that are weights of the input, then of the state, then biases, each for the
input, forget, cell and output gates (tflite/kernels/lstm_shared.h)."""
LSTM_EXTRAS = {"peepholes": (9, 10, 11), "a projection": (16, 17), "layer norm": (20, 21, 22, 23)}

_AS_IT_IS = "replace it in the source network, or bench the file as it is"


def problems(file: TFLiteFile) -> list[str]:
    """One line for each port or op that has no row. Raises BadModel where an op lacks inputs or outputs."""
    found = list(_port_problems(file))
    for op in file.ops:
        if why := "; ".join(_op_problems(file, op)):
            found.append(f"op {op.index} {op.operator} '{file.tensors[op.outputs[0]].name}': {why}")
    return found


def pad_value(file: TFLiteFile, op: FileOp) -> float:
    """The real number that a PAD or PADV2 pads with."""
    if op.operator != "PADV2":
        return 0.0
    value, x = file.tensors[op.inputs[2]], file.tensors[op.inputs[0]]
    number = value.data.reshape(-1)[0]
    if x.dtype not in INTEGER:
        return float(number)
    return float(x.scale[0] * np.float32(int(number) - int(x.zero_point[0])))


def pads_lowest(file: TFLiteFile, op: FileOp) -> bool:
    """Whether it is a PADV2 that pads with the lowest number or code, which no max pool picks."""
    if op.operator != "PADV2":
        return False
    value = file.tensors[op.inputs[2]]
    lowest = RANGE[value.dtype][0] if value.dtype in RANGE else np.finfo(np.float32).min
    return bool(value.data.reshape(-1)[0] <= lowest)


def only_feeds_max_pools(file: TFLiteFile, op: FileOp) -> bool:
    """Whether a padding op pads height and width only, and only for max pools without pads of their own."""
    pads, output = file.tensors[op.inputs[1]].data, op.outputs[0]
    return pads.shape == (4, 2) and not pads[[0, 3]].any() and output not in file.not_only_max_pooled


def _port_problems(file: TFLiteFile) -> Iterator[str]:
    known = {*PLAIN, *INTEGER}
    for tensor in (file.tensors[i] for i in (*file.inputs, *file.outputs)):
        if tensor.dtype not in known:
            yield (f"input or output '{tensor.name}': dtype {tensor.dtype}; "
                   f"{', '.join(sorted(known))} have rows")
    for tensor in (file.tensors[i] for i in file.inputs):
        if not tensor.shape or tensor.shape[0] != 1:
            yield f"input '{tensor.name}': shape {tensor.shape} is a fixed batch; export it with batch 1"
        elif -1 in (tensor.signature or ())[1:]:
            yield f"input '{tensor.name}': shape {tensor.signature} is open beyond the batch; export it fixed"
    for tensor in (file.tensors[i] for i in file.outputs):
        if tensor.data is not None:
            yield f"output '{tensor.name}' is a constant; leave it out of the network's outputs"


def _op_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    if op.operator in CONTROL_FLOW:
        yield "control flow has no row; export the network without branches and loops"
        return
    if op.operator not in OPERATORS:
        yield f"no row for this operator; {_AS_IT_IS}"
        return
    row = OPERATORS[op.operator]
    low, high = row.inputs
    if not low <= len(op.inputs) <= high or -1 in op.inputs[:low] or len(op.outputs) > row.outputs:
        raise BadModel(f"{file.name}: op {op.index} {op.operator} has inputs {op.inputs}, "
                       f"outputs {op.outputs}; the file is damaged: copy or export it again")
    plain = [i for position, i in enumerate(op.inputs) if position not in row.states]
    tensors = [file.tensors[i] for i in (*plain, *op.outputs) if i >= 0]
    strange = [f"tensor '{t.name}': {t.unusual}" for t in tensors if t.unusual]
    yield from strange or _computed(file, op, row) or _type_problems(file, op, row) \
        or _kind_problems(file, op, row)


def _computed(file: TFLiteFile, op: FileOp, row: Operator) -> list[str]:
    """Operands that must be constants and are not."""
    if row.kind == "transpose_conv2d":  # its output's shape is known without
        return []
    found = [t.name for t in (file.tensors[op.inputs[i]] for i in row.constants) if t.data is None]
    return [f"'{name}' is computed while it runs; it must be a constant" for name in found[:1]]


# Types ------------------------------------------------------------------------------------------------------

_APART = {"gather": {1}, "embedding": {0}, "select": {0}}
"""Kind -> positions of inputs whose dtype is their own."""
_MAKES_OTHER = frozenset({"compare", "argmax", "argmin", "cast", "quantize", "dequantize"})
_BORDERS = {"quantize": ({"float32", "int8", "uint8", "int16"}, {"int8", "uint8", "int16"}),
            "dequantize": ({"int8", "uint8", "int16"}, {"float32"})}


def _operands(file: TFLiteFile, op: FileOp, row: Operator) -> list[FileTensor]:
    """The inputs that it computes on: not weights, axes, indices, conditions."""
    if row.kind in WEIGHTED:
        return [file.tensors[op.inputs[2 if row.kind == "transpose_conv2d" else 0]]]
    if row.kind in ("reshape", "batch_matmul", "lstm"):
        return [file.tensors[op.inputs[0]]]
    apart = {*row.constants, *_APART.get(row.kind, ())}
    return [file.tensors[index] for i, index in enumerate(op.inputs) if i not in apart]


def _type_problems(file: TFLiteFile, op: FileOp, row: Operator) -> list[str]:
    """An op's activations are all plain numbers or all codes; only quantize and dequantize convert."""
    reads, makes = _operands(file, op, row), [file.tensors[i] for i in op.outputs]
    codes = {"int8", "int16"} if row.codes else set()
    taken, given = _BORDERS.get(row.kind, ({*PLAIN, *codes},) * 2)
    allowed = [*((t, taken) for t in reads), *((t, given) for t in makes)]
    found = [f"tensor '{t.name}' is {t.dtype}; {', '.join(sorted(dtypes))} have rows here"
             for t, dtypes in allowed if t.dtype not in dtypes]
    found += [f"activation '{t.name}' is quantized per channel; per tensor has a row"
              for t in (*reads, *makes) if t.scale.size > 1 and t.dtype in INTEGER and t.data is None]
    same = reads if row.kind in _MAKES_OTHER else [*reads, *makes]
    if len({t.dtype for t in same}) > 1:
        found.append(f"mixes {', '.join(f'{t.dtype} {t.name}' for t in same)}")
    return list(dict.fromkeys(found))


def _kind_problems(file: TFLiteFile, op: FileOp, row: Operator) -> Iterator[str]:
    activation = op.options.get("fusedActivationFunction", 0)
    if activation not in _FUSED and row.kind != "lstm":
        yield (f"fused activation {_FUSED_NAME.get(activation, activation)}, which LiteRT leaves out; NONE, "
               f"RELU, RELU6 and RELU_N1_TO_1 have rows: put an operator behind")
    if row.kind in WEIGHTED:
        yield from _weight_problems(file, op, row.kind)
    yield from _OWN_PROBLEMS.get(row.kind, lambda file, op: ())(file, op)


def _weight_problems(file: TFLiteFile, op: FileOp, kind: str) -> Iterator[str]:
    x, weight, bias = _weighted_inputs(file, op, kind)
    if weight.data is None or (bias is not None and bias.data is None):
        yield "weight and bias must be constants"
    if weight.dtype not in ({"float32", "int8", "uint8"} if x.dtype == "float32" else {"int8"}):
        yield f"weight '{weight.name}' is {weight.dtype} under {x.dtype} activations"
    elif weight.dtype != "float32" and not weight.scale.size:
        yield f"weight '{weight.name}' is {weight.dtype} without a scale"
    elif weight.dtype == "int8" and x.dtype != "float32" and weight.zero_point.any() and not file.unsigned:
        yield f"weight '{weight.name}' must be quantized with zero point 0, as the TFLite specification says"
    elif weight.scale.size > 1 and file.unsigned and x.dtype != "float32":
        yield f"weight '{weight.name}' is uint8 and quantized per channel; per tensor has a row"
    elif weight.scale.size > 1 and x.dtype != "float32" and weight.axis != WEIGHTED[kind]:
        yield f"weight '{weight.name}' is quantized along axis {weight.axis}; axis {WEIGHTED[kind]} has a row"
    if bias is not None and bias.dtype != BIAS.get(x.dtype, "float32"):
        yield f"bias '{bias.name}' is {bias.dtype} under {x.dtype} activations"
    if kind == "fully_connected" and op.options["weightsFormat"]:
        yield "shuffled weights; export with the default format"


def _weighted_inputs(file: TFLiteFile, op: FileOp, kind: str
                     ) -> tuple[FileTensor, FileTensor, FileTensor | None]:
    """x, weight and bias; None where that is left out."""
    x, weight, bias = (2, 1, 3) if kind == "transpose_conv2d" else (0, 1, 2)
    has_bias = len(op.inputs) > bias and op.inputs[bias] >= 0
    return (file.tensors[op.inputs[x]], file.tensors[op.inputs[weight]],
            file.tensors[op.inputs[bias]] if has_bias else None)


# Single kinds -----------------------------------------------------------------------------------------------

def _pad_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    if op.operator != "PADV2":
        return
    x, value = file.tensors[op.inputs[0]], file.tensors[op.inputs[2]]
    if value.dtype != x.dtype or value.data.size != 1:
        yield f"pad value '{value.name}' is {value.dtype} {value.shape}, the input is {x.dtype}"


def _batch_matmul_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    a, b = (file.tensors[i] for i in op.inputs)
    if b.dtype != a.dtype and not (a.dtype == "float32" and b.dtype == "int8" and b.data is not None):
        yield f"mixes {a.dtype} {a.name}, {b.dtype} {b.name}"


def _gather_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    indices = file.tensors[op.inputs[OPERATORS[op.operator].kind == "gather"]]
    if indices.dtype not in ("int32", "int64"):
        yield f"indices '{indices.name}' are {indices.dtype}; int32 and int64 have rows"
    batch = indices.shape[:op.options.get("batchDims", 0)]
    if any(n != 1 for n in batch):
        yield f"indices for each of {batch} batch dimensions; one set for all has a row"


def _slice_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    strides = file.tensors[op.inputs[3]].data
    if strides.size and strides.min() < 1:
        yield f"strides {strides.reshape(-1)[:8].tolist()}; forward ones have a row"


def _select_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    condition, a = (file.tensors[i] for i in op.inputs[:2])
    if condition.dtype != "bool":
        yield f"condition '{condition.name}' is {condition.dtype}, not bool"
    elif op.operator == "SELECT" and condition.shape not in ((), a.shape):
        yield (f"condition '{condition.name}' {condition.shape} picks whole rows of {a.shape}; one for each "
               f"value has a row")


def _lstm_problems(file: TFLiteFile, op: FileOp) -> Iterator[str]:
    """What a loop does not hold."""
    given = {position for position, index in enumerate(op.inputs) if index >= 0}
    for what, positions in LSTM_EXTRAS.items():
        if given.intersection(positions):
            yield f"has {what}, which has no row; train it without"
    if not given.issuperset(LSTM_GATES):
        yield "has no gates of all four kinds; train it with an input gate of its own"
    for tensor in (file.tensors[op.inputs[position]] for position in LSTM_GATES if position in given):
        if tensor.data is None or tensor.dtype != "float32":
            yield f"weight '{tensor.name}' is no float32 constant; convert the float model"
    if op.options["fusedActivationFunction"] != schema.ActivationFunctionType.TANH:
        yield "activation is not tanh, which alone has a row"
    if (batch := file.tensors[op.inputs[0]].shape[int(op.options["timeMajor"])]) != 1:
        yield f"takes {batch} samples at once; export it with batch 1"


_OWN_PROBLEMS = {
    "pad": _pad_problems, "batch_matmul": _batch_matmul_problems, "gather": _gather_problems,
    "embedding": _gather_problems, "strided_slice": _slice_problems, "select": _select_problems,
    "lstm": _lstm_problems}
