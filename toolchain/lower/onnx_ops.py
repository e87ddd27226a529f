"""How each kind of op is written in ONNX (operator specification, opset 17)."""

from collections.abc import Mapping

import numpy as np

from toolchain.ir.graph import Op
from toolchain.lower.onnx_moves import MOVES
from toolchain.lower.onnx_normalize import NORMALIZE
from toolchain.lower.onnx_recurrent import RECURRENT
from toolchain.lower.onnx_resize import RESIZE
from toolchain.lower.onnx_weighted import WEIGHTED, Writes, onnx_pads
from toolchain.lower.onnx_writer import OnnxWriter

RELATION = {"equal": "Equal", "not_equal": "Equal", "less": "Less", "less_equal": "LessOrEqual",
            "greater": "Greater", "greater_equal": "GreaterOrEqual"}


# Pooling and reduction -------------------------------------------------------------------------------------

def _average_pool2d(writer: OnnxWriter, op: Op) -> None:
    """Padding does not count, which is ONNX's default."""
    writer.compute(op, "AveragePool", [writer.real(op.inputs[0])], **_window(op))


def _max_pool2d(writer: OnnxWriter, op: Op) -> None:
    writer.move(op, "MaxPool", **_window(op))


def _window(op: Op) -> dict[str, object]:
    return {"kernel_shape": op.attrs["kernel"], "strides": op.attrs["stride"],
            "pads": onnx_pads(op.attrs["pads"])}


def _mean(writer: OnnxWriter, op: Op) -> None:
    """GlobalAveragePool where it is one: onnxruntime has an integer kernel for it, but none for
    ReduceMean."""
    x, axes, keepdims = op.inputs[0], op.attrs["axes"], op.attrs["keepdims"]
    rank = len(writer.graph.tensors[x].shape)
    if keepdims and rank > 2 and sorted(axes) == list(range(2, rank)):
        writer.compute(op, "GlobalAveragePool", [writer.real(x)])
    else:
        given, attrs = writer.axes(op)
        writer.compute(op, "ReduceMean", [writer.real(x), *given], keepdims=int(keepdims), **attrs)


def _sum(writer: OnnxWriter, op: Op) -> None:
    axes = writer.constant(f"{op.name}:axes", np.array(op.attrs["axes"], np.int64))
    writer.compute(op, "ReduceSum", [writer.real(op.inputs[0]), axes], keepdims=int(op.attrs["keepdims"]))


def _extreme(op_type: str) -> Writes:
    def write(writer: OnnxWriter, op: Op) -> None:
        given, attrs = writer.axes(op)
        writer.move(op, op_type, given, keepdims=int(op.attrs["keepdims"]), **attrs)
    return write


def _argmax(writer: OnnxWriter, op: Op) -> None:
    """On codes too: their order is that of the reals."""
    whole = op.attrs["to"] == "int64"
    found = writer.node("ArgMax", [writer.raw(op.inputs[0])], op.name if whole else f"{op.name}:int64",
                        axis=op.attrs["axis"], keepdims=0)
    if not whole:
        writer.cast(found, op.name, op.attrs["to"])


# Element by element ----------------------------------------------------------------------------------------

def _leaky_relu(writer: OnnxWriter, op: Op) -> None:
    writer.compute(op, "LeakyRelu", [writer.real(op.inputs[0])], alpha=op.attrs["alpha"])


def _clamp(writer: OnnxWriter, op: Op) -> None:
    """relu and relu6 that no op could take in."""
    x, out = writer.real(op.inputs[0]), writer.graph.tensors[op.name]
    if out.quant is None:
        writer.activate(op.kind, x, op.name)
    else:
        writer.quantize(x, out, op.kind)


def _rsqrt(writer: OnnxWriter, op: Op) -> None:
    root = writer.node("Sqrt", [writer.real(op.inputs[0])], f"{op.name}:root")
    writer.compute(op, "Reciprocal", [root])


def _gelu(writer: OnnxWriter, op: Op) -> None:
    """x / 2 * (1 + erf(x / sqrt(2))) in the order that onnxruntime makes one kernel of; or its approximation
    x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))) (Hendrycks and Gimpel 2016)."""
    x = writer.real(op.inputs[0])
    bent = _bent_by_tanh(writer, op, x) if op.attrs["approximate"] else _bent_by_erf(writer, op, x)
    above = writer.node("Add", [bent, writer.scalar(1)], f"{op.name}:above")
    if op.attrs["approximate"]:
        half = writer.node("Mul", [x, writer.scalar(0.5)], f"{op.name}:half")
        return writer.compute(op, "Mul", [half, above])
    whole = writer.node("Mul", [x, above], f"{op.name}:whole")
    writer.compute(op, "Mul", [whole, writer.scalar(0.5)])


def _bent_by_erf(writer: OnnxWriter, op: Op, x: str) -> str:
    scaled = writer.node("Div", [x, writer.scalar(2**0.5)], f"{op.name}:scaled")
    return writer.node("Erf", [scaled], f"{op.name}:erf")


def _bent_by_tanh(writer: OnnxWriter, op: Op, x: str) -> str:
    cube = writer.node("Pow", [x, writer.scalar(3)], f"{op.name}:cube")
    part = writer.node("Mul", [cube, writer.scalar(0.044715)], f"{op.name}:part")
    inner = writer.node("Add", [x, part], f"{op.name}:inner")
    scaled = writer.node("Mul", [inner, writer.scalar((2 / np.pi)**0.5)], f"{op.name}:scaled")
    return writer.node("Tanh", [scaled], f"{op.name}:tanh")


def _elementwise(op_type: str) -> Writes:
    def write(writer: OnnxWriter, op: Op) -> None:
        writer.compute(op, op_type, list(map(writer.real, op.inputs)))
    return write


# Logic and types -------------------------------------------------------------------------------------------

def _compare(writer: OnnxWriter, op: Op) -> None:
    inputs, relation = list(map(writer.real, op.inputs)), op.attrs["relation"]
    if relation != "not_equal":
        writer.node(RELATION[relation], inputs, op.name)
    else:
        writer.node("Not", [writer.node("Equal", inputs, f"{op.name}:equal")], op.name)


def _cast(writer: OnnxWriter, op: Op) -> None:
    writer.cast(writer.real(op.inputs[0]), op.name, op.attrs["to"])


def _quantize(writer: OnnxWriter, op: Op) -> None:
    writer.quantize(writer.real(op.inputs[0]), writer.graph.tensors[op.name])


def _dequantize(writer: OnnxWriter, op: Op) -> None:
    x = writer.graph.tensors[op.inputs[0]]
    writer.node("DequantizeLinear", [writer.raw(x.name), *writer.grid(x)], op.name)


ELEMENTWISE = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "minimum": "Min", "maximum": "Max", "pow": "Pow",
    "prelu": "PRelu", "elu": "Elu", "hard_swish": "HardSwish", "softplus": "Softplus", "logistic": "Sigmoid",
    "tanh": "Tanh", "abs": "Abs", "neg": "Neg", "exp": "Exp", "log": "Log", "sqrt": "Sqrt",
    "logical_and": "And", "logical_or": "Or", "logical_not": "Not"}
"""Kinds that one ONNX operator without attributes computes."""
EMIT: Mapping[str, Writes] = {
    **WEIGHTED,
    **NORMALIZE,
    **RESIZE,
    **MOVES,
    **RECURRENT,
    **{kind: _elementwise(op_type) for kind, op_type in ELEMENTWISE.items()},
    "relu": _clamp,
    "relu6": _clamp,
    "leaky_relu": _leaky_relu,
    "rsqrt": _rsqrt,
    "gelu": _gelu,
    "average_pool2d": _average_pool2d,
    "max_pool2d": _max_pool2d,
    "mean": _mean,
    "sum": _sum,
    "reduce_max": _extreme("ReduceMax"),
    "reduce_min": _extreme("ReduceMin"),
    "argmax": _argmax,
    "compare": _compare,
    "cast": _cast,
    "quantize": _quantize,
    "dequantize": _dequantize,
}
