"""What a legal graph is at each level; run after every pass.

FLOAT      what a door in gives: any op of the table, activations that are plain numbers
CANONICAL  FLOAT with nothing left to fold: no batch_norm, no op that changes nothing
QUANTIZED  codes with QuantParams; an op computes on codes or on reals, and only a quantize or dequantize op
           leads from one to the other
"""

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from toolchain.errors import BadGraph, BadModel
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.loops import parts
from toolchain.ir.ops import APART, OPS, PLAIN, Shape, output_dtype, output_shape
from toolchain.ir.quant import HELD_AS

INTEGER = frozenset({"int8", "uint8", "int16"})
"""dtypes of codes."""
CONVERSIONS = ("quantize", "dequantize")
BIAS = {"int8": "int32", "int16": "int64"}
"""dtype of an activation's codes -> that of the bias of an op that reads them."""
WEIGHTED = {"conv2d": 0, "depthwise_conv2d": 3, "transpose_conv2d": 0, "fully_connected": 0}
"""Kinds with weight and bias -> axis of the weight that runs over the output channels."""


def check(graph: Graph, level: str) -> Graph:
    """Return the graph as it is. Raises BadGraph or, for NaN or Inf in a constant, BadModel.

    level: a key of LEVELS
    Both errors name the tensor and the value.
    """
    for rule in LEVELS[level]:
        for problem in rule(graph):
            raise problem
    return graph


def level_of(graph: Graph) -> str:
    """QUANTIZED where an activation carries integer codes, else FLOAT."""
    return "QUANTIZED" if any(t.dtype in INTEGER for t in graph.activations) else "FLOAT"


def _structure(graph: Graph) -> Iterator[Exception]:
    """Every tensor is made once, before it is read."""
    made = set(graph.inputs) | {t.name for t in graph.constants}
    for name in (*graph.inputs, *graph.outputs):
        if name not in graph.tensors:
            yield BadGraph(f"{graph.name}: input or output {name} is not a tensor of the graph")
    for op in graph.ops:
        if op.kind not in OPS or set(op.attrs) != set(OPS[op.kind].attrs):
            yield BadGraph(f"{op.name}: {op.kind} with attributes {sorted(op.attrs)} "
                           f"has no row in the op table")
        elif not OPS[op.kind].takes(len(op.inputs)):
            yield BadGraph(f"{op.name}: {op.kind} takes {', '.join(OPS[op.kind].inputs)}, "
                           f"but has {len(op.inputs)} inputs")
        for name in op.inputs[:1] if op.kind == "state" else op.inputs:
            if name not in made:
                yield BadGraph(f"{op.name}: reads {name} before anything makes it")
        for name in op.outputs:
            if name in made or name not in graph.tensors:
                wrong = "made twice" if name in made else "no tensor"
                yield BadGraph(f"{op.name}: makes {name}, which is {wrong}")
            made.add(name)
    for name in graph.outputs:
        if name not in made:
            yield BadGraph(f"{graph.name}: nothing makes output {name}")


def _loops(graph: Graph) -> Iterator[Exception]:
    """Every loop is a piece that can be repeated."""
    try:
        parts(graph)
    except BadGraph as error:
        yield error


def _shapes(graph: Graph) -> Iterator[Exception]:
    for tensor in graph.tensors.values():
        if any(not isinstance(n, int) or n < 1 for n in tensor.shape):
            yield BadGraph(f"{tensor.name}: shape {tensor.shape} must be positive whole numbers")
    for op in graph.ops:
        expected, stated = output_shape(op, [t.shape for t in graph.of(op)]), graph.tensors[op.name].shape
        if expected != stated:
            yield BadGraph(f"{op.name}: {op.kind} gives {expected} but the tensor says {stated}")


def _dtypes(graph: Graph) -> Iterator[Exception]:
    """An op's operands share a dtype, and its output has the one that its row says."""
    for op in graph.ops:
        dtypes, stated = [t.dtype for t in graph.of(op)], graph.tensors[op.name].dtype
        if len(set(operand_dtypes(graph, op))) > 1:
            mixed = ", ".join(f"{t.name} {t.dtype}" for t in graph.of(op))
            yield BadGraph(f"{op.name}: {op.kind} of {mixed}; operands must share a dtype")
        elif (expected := output_dtype(op, dtypes)) not in (None, stated):
            yield BadGraph(f"{op.name}: {op.kind} gives {expected} but the tensor says {stated}")


def operand_dtypes(graph: Graph, op: Op) -> list[str]:
    """dtypes of the inputs that the op computes on: not of weights, indices, conditions."""
    roles = OPS[op.kind].inputs
    return [t.dtype for i, t in enumerate(graph.of(op)) if roles[min(i, len(roles) - 1)] not in APART]


def _finite(graph: Graph) -> Iterator[Exception]:
    for tensor in graph.constants:
        if tensor.data.shape != tensor.shape or tensor.data.dtype.name != tensor.dtype:
            yield BadGraph(f"{tensor.name}: data {tensor.data.dtype}{tensor.data.shape} is not "
                           f"{tensor.dtype}{tensor.shape}")
        elif tensor.data.dtype.kind == "f" and not (np.isfinite(tensor.data).all() or _masks(graph, tensor)):
            where = np.argwhere(~np.isfinite(tensor.data))[0]
            value = tensor.data[tuple(where)]
            yield BadModel(f"{graph.name}: weight {tensor.name} holds {value} at {[int(i) for i in where]}; "
                           f"train it again or export it from a good checkpoint")


def _masks(graph: Graph, tensor: Tensor) -> bool:
    """Whether the infinity that a constant holds is only chosen, where a condition says so."""
    readers = graph.consumers[tensor.name]
    return not np.isnan(tensor.data).any() and all(op.kind == "select" for op in readers)


def _float(graph: Graph) -> Iterator[Exception]:
    for tensor in graph.activations:
        if tensor.dtype not in PLAIN:
            yield BadGraph(f"{tensor.name}: a float graph cannot hold {tensor.dtype} activations")
        elif tensor.quant is not None:
            yield BadGraph(f"{tensor.name}: a {tensor.dtype} activation cannot have quantization parameters")


def changes_nothing(graph: Graph, op: Op) -> bool:
    """Whether the op hands its input through: same shape, same order, same values."""
    rule = IDENTITY.get(op.kind)
    shapes = graph.tensors[op.inputs[0]].shape, graph.tensors[op.name].shape
    return rule is not None and rule(op, *shapes) and _same_codes(graph, op)


def _is_unit_pool(op: Op, before: Shape, after: Shape) -> bool:
    return (op.attrs["kernel"], op.attrs["stride"], op.attrs["activation"]) == ((1, 1), (1, 1), None) \
        and not any(op.attrs["pads"])


def _same_size(op: Op, before: Shape, after: Shape) -> bool:
    return before == after


IDENTITY: Mapping[str, Callable[[Op, Shape, Shape], bool]] = {
    "reshape": _same_size,
    "transpose": lambda op, before, after: op.attrs["perm"] == tuple(range(len(before))),
    "pad": _same_size,
    "mirror_pad": _same_size,
    "slice": _same_size,
    "tile": _same_size,
    "resize_nearest": _same_size,
    "resize_bilinear": _same_size,
    "depth_to_space": _same_size,
    "space_to_depth": _same_size,
    "concat": lambda op, before, after: len(op.inputs) == 1,
    "mean": lambda op, before, after: op.attrs["keepdims"] and before == after,
    "max_pool2d": _is_unit_pool,
    "average_pool2d": _is_unit_pool,
}
"""Kind -> whether an op of it (op, shape before, shape after) hands its input through."""


def _same_codes(graph: Graph, op: Op) -> bool:
    before, after = graph.tensors[op.inputs[0]].quant, graph.tensors[op.name].quant
    return before is after or (before is not None and before.same_as(after))


def _folded(graph: Graph) -> Iterator[Exception]:
    for op in graph.ops:
        if op.kind == "batch_norm":
            yield BadGraph(f"{op.name}: a canonical graph holds no batch_norm")
        if changes_nothing(graph, op) and op.name not in graph.outputs:
            yield BadGraph(f"{op.name}: {op.kind} changes nothing; a canonical graph drops it")


def _quantized(graph: Graph) -> Iterator[Exception]:
    for tensor in graph.tensors.values():
        if tensor.dtype in INTEGER and (tensor.quant is None or not _holds(tensor)):
            yield BadGraph(f"{tensor.name}: {tensor.dtype} without matching quantization parameters")
        elif tensor.quant is not None and not _slices_agree(tensor):
            yield BadGraph(f"{tensor.name}: {tensor.quant.scale.size} scales along axis {tensor.quant.axis} "
                           f"do not go with shape {tensor.shape}")
    for op in graph.ops:
        if op.kind in WEIGHTED and graph.tensors[op.inputs[0]].dtype in INTEGER:
            yield from _weights(graph, op)


def _holds(tensor: Tensor) -> bool:
    """Whether the tensor's dtype is that of its codes; constants of fewer than 8 bits lie in int8."""
    held = HELD_AS.get(tensor.quant.dtype) if tensor.is_constant else None
    return tensor.dtype in (tensor.quant.dtype, held)


def _slices_agree(tensor: Tensor) -> bool:
    axis = tensor.quant.axis
    return axis is None or tensor.shape[axis:axis + 1] == tensor.quant.scale.shape


def _weights(graph: Graph, op: Op) -> Iterator[Exception]:
    """Weights are int8, per tensor or per output channel, those of uint8 networks per tensor with any zero
    point; biases int32 (int64 under int16 activations), at the scale of x times the weight's.

    Source: TensorFlow Lite 8-bit quantization specification.
    """
    x, weight, bias = graph.of(op)
    channel_axis = WEIGHTED[op.kind]
    if weight.dtype != "int8" or weight.quant is None or bias.dtype != BIAS[x.dtype] or bias.quant is None:
        yield BadGraph(f"{op.name}: {op.kind} needs int8 weights and {BIAS[x.dtype]} biases "
                       f"with quantization parameters, got {weight.dtype} and {bias.dtype}")
    elif weight.quant.axis not in (None, channel_axis):
        yield BadGraph(f"{weight.name}: quantized along axis {weight.quant.axis}, "
                       f"{op.kind} needs {channel_axis}")
    elif weight.quant.zero_point.any() and (x.dtype != "int8" or weight.quant.axis is not None):
        yield BadGraph(f"{weight.name}: zero point {weight.quant.zero_point.ravel()[0]}; weights have one "
                       f"other than 0 per tensor and under int8 activations only")
    elif not _scales_agree(x, weight, bias):
        yield BadGraph(f"{bias.name}: bias scale is not the product of the scales of "
                       f"{x.name} and {weight.name}")


def asymmetric(graph: Graph, op: Op) -> bool:
    """Whether the op's integer weights have a zero point other than 0, as TFLite's uint8 networks have."""
    weight = graph.tensors[op.inputs[1]] if op.kind in WEIGHTED else None
    return weight is not None and weight.dtype in INTEGER and bool(weight.quant.zero_point.any())


def _scales_agree(x: Tensor, weight: Tensor, bias: Tensor) -> bool:
    product = np.float64(x.quant.scale) * weight.quant.scale
    return np.allclose(bias.quant.scale, product, rtol=0.02, atol=0)


_ALWAYS = (_structure, _shapes, _dtypes, _loops, _finite)
LEVELS: Mapping[str, tuple[Callable[[Graph], Iterator[Exception]], ...]] = {
    "FLOAT": (*_ALWAYS, _float),
    "CANONICAL": (*_ALWAYS, _float, _folded),
    "QUANTIZED": (*_ALWAYS, _quantized),
}
"""Level -> its rules, in order: each may rely on those before it."""
