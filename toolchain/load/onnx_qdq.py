"""QuantizeLinear and DequantizeLinear, and the operators that work on codes, as those around real ones.

Codes of activations are int8 in a Graph: uint8 ones lie 128 lower, zero points too, which changes no real.
Inputs stay uint8, a quantize apart.
Sources: ONNX operator specification; onnxruntime docs/ContribOperators.md for the com.microsoft ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.quant import QuantParams
from toolchain.load.onnx_call import Call, Grid, Rule, Value
from toolchain.load.onnx_file import MOVES, Node, OnnxFile

SHIFT = {"uint8": 128, "int8": 0, "int32": 0}
"""dtype of a file's codes -> how much lower they lie in a Graph."""


def _grid(call: Call, first: int, rank: int) -> Grid:
    """Scale and zero point at inputs `first` and after it."""
    scale, zero_point = call.input(first), call.input(first + 1)
    call.require(isinstance(scale, np.ndarray) and not isinstance(zero_point, str),
                 "scale or zero point is computed from the input; only constants have a row")
    call.require(not call.attr("block_size", 0), "quantized in blocks; only per tensor and axis have a row")
    if zero_point is None:
        zero_point = np.zeros(scale.shape, np.uint8)
    axis = None if scale.size == 1 else call.attr("axis", 1) % max(rank, 1)
    return Grid(scale.astype(np.float32), zero_point, axis)


def quantize_linear(call: Call) -> Value:
    x = call.input(0)
    grid = _grid(call, 1, 0)
    dtype = grid.zero_point.dtype.name
    if isinstance(x, np.ndarray):
        call.require(grid.axis is None, "a constant that is quantized per axis in the file; store its codes")
        info = np.iinfo(dtype)
        steps = np.rint(x / grid.scale.item()) + int(grid.zero_point.item())
        return np.asarray(np.clip(steps, info.min, info.max), dtype)
    call.require(dtype in ("uint8", "int8") and grid.axis is None,
                 f"{grid.scale.size} scales of {dtype} activations; only uint8 and int8 ones with one scale "
                 f"have a row")
    return call.build.op("quantize", [x], call.name, dtype="int8", quant=grid.params(SHIFT[dtype]))


def dequantize_linear(call: Call) -> Value:
    """Of constants reals, of which `call.grids` knows the codes."""
    x = call.input(0)
    if isinstance(x, np.ndarray):
        grid = _grid(call, 1, x.ndim)
        if call.input(2) is None:
            grid = replace(grid, zero_point=np.zeros(grid.scale.shape, x.dtype))
        call.require(x.dtype.name in SHIFT, f"codes of type {x.dtype}; only uint8, int8 and int32 have a row")
        shifted = grid.zero_point.astype(np.int32) - SHIFT[x.dtype.name]
        dtype = "int32" if x.dtype == np.int32 else "int8"
        call.grids[call.name] = replace(grid, zero_point=shifted, dtype=dtype)
        return grid.reals(x)
    grid, tensor = _grid(call, 1, 0), call.build.tensors[x]
    call.require(tensor.quant is not None, f"{x} holds {tensor.dtype} numbers, which no QuantizeLinear made")
    said = grid.params(SHIFT.get(grid.zero_point.dtype.name, 0))
    call.require(tensor.quant.same_as(said), f"reads codes of scale {tensor.quant.scale} as if they were of "
                                             f"{said.scale}; give both nodes the same parameters")
    return call.emit("dequantize", [x])


QDQ: Mapping[str, Rule] = {"QuantizeLinear": quantize_linear, "DequantizeLinear": dequantize_linear}


# Operators on codes ----------------------------------------------------------------------------------------

class _Expansion:
    """One node on codes as a real one between DequantizeLinear and QuantizeLinear nodes."""

    def __init__(self, node: Node, constants: dict[str, np.ndarray]):
        self.node, self.constants = node, constants
        self.nodes: list[Node] = []

    def make(self, op: str, inputs: tuple[str, ...], output: str, **attrs) -> str:
        self.nodes.append(Node(op, "", inputs, (output,), attrs))
        return output

    def real(self, first: int, axis: int = 0) -> str:
        """The reals of the codes at input `first`, whose scale and zero point follow."""
        codes, scale, zero_point = self.node.inputs[first:first + 3]
        inputs = codes, scale, zero_point
        return self.make("DequantizeLinear", inputs, f"{self.name}:real{first}", axis=axis)

    def bias(self, index: int, x_scale: int, w_scale: int, factor: float = 1.0) -> tuple[str, ...]:
        """The reals of an int32 bias at the product of two scales, if there is one."""
        if len(self.node.inputs) <= index or not self.node.inputs[index]:
            return ()
        scales = [self.constants.get(self.node.inputs[i]) for i in (x_scale, w_scale)]
        if any(scale is None for scale in scales):
            raise Unsupported("its scales are computed; only constants have a row")
        scale = f"{self.name}:bias_scale"
        self.constants[scale] = np.asarray(scales[0] * scales[1] * np.float32(factor), np.float32)
        return (self.make("DequantizeLinear", (self.node.inputs[index], scale), f"{self.name}:bias", axis=0),)

    def codes(self, real: str, first: int) -> list[Node]:
        """Back to codes of the scale and zero point at inputs `first` and after it."""
        self.make("QuantizeLinear", (real, *self.node.inputs[first:first + 2]), self.node.outputs[0])
        return self.nodes

    @property
    def name(self) -> str:
        return self.node.outputs[0]

    @property
    def result(self) -> str:
        return f"{self.name}:exact"


Expand = Callable[[_Expansion], list[Node]]


def _conv(to: _Expansion) -> list[Node]:
    """x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B"""
    real = to.make("Conv", (to.real(0), to.real(3), *to.bias(8, 1, 4)), to.result, **to.node.attrs)
    return to.codes(real, 6)


def _gemm(to: _Expansion) -> list[Node]:
    """A, a_scale, a_zero_point, B, b_scale, b_zero_point, C, y_scale, y_zero_point; reals come out where the
    last two are left out. B's columns have the scales."""
    alpha = to.node.attrs.get("alpha", 1.0)
    inputs = (to.real(0), to.real(3, axis=0 if to.node.attrs.get("transB") else 1), *to.bias(6, 1, 4, alpha))
    if len(to.node.inputs) < 9 or not to.node.inputs[7]:
        to.make("Gemm", inputs, to.name, **to.node.attrs)
        return to.nodes
    return to.codes(to.make("Gemm", inputs, to.result, **to.node.attrs), 7)


def _two(op: str) -> Expand:
    """a, a_scale, a_zero_point, b, b_scale, b_zero_point, y_scale, y_zero_point"""
    def expand(to: _Expansion) -> list[Node]:
        return to.codes(to.make(op, (to.real(0), to.real(3, axis=1)), to.result), 6)
    return expand


def _one(op: str, drop: tuple[str, ...] = ()) -> Expand:
    """x, x_scale, x_zero_point, y_scale, y_zero_point"""
    def expand(to: _Expansion) -> list[Node]:
        if to.node.attrs.get("channels_last"):
            raise Unsupported("channels_last=1 has no row")
        attrs = {name: value for name, value in to.node.attrs.items() if name not in ("channels_last", *drop)}
        return to.codes(to.make(op, (to.real(0),), to.result, **attrs), 3)
    return expand


def _concat(to: _Expansion) -> list[Node]:
    """y_scale, y_zero_point, then three for each operand"""
    reals = tuple(to.real(first) for first in range(2, len(to.node.inputs), 3))
    return to.codes(to.make("Concat", reals, to.result, **to.node.attrs), 0)


EXPAND: Mapping[str, Expand] = {
    "QLinearConv": _conv,
    "QGemm": _gemm,
    "QLinearMatMul": _two("MatMul"),
    "QLinearAdd": _two("Add"),
    "QLinearMul": _two("Mul"),
    "QLinearSigmoid": _one("Sigmoid"),
    "QLinearLeakyRelu": _one("LeakyRelu"),
    "QLinearSoftmax": _one("Softmax", drop=("opset",)),
    "QLinearAveragePool": _one("AveragePool"),
    "QLinearGlobalAveragePool": _one("GlobalAveragePool"),
    "QLinearConcat": _concat,
}
"""Operator on codes -> the nodes that stand for it."""
DOMAINS = ("", "com.microsoft")


def expanded(node: Node, constants: dict[str, np.ndarray]) -> list[Node]:
    """The nodes that a node on codes stands for, or itself. Adds what they need to the constants. Raises
    Unsupported."""
    if node.op not in EXPAND or node.domain not in DOMAINS:
        return [node]
    return EXPAND[node.op](_Expansion(node, constants))


def input_grids(file: OnnxFile) -> dict[str, QuantParams]:
    """Inputs of the graph that hold codes, with what these mean: by a node that reads them, straight or
    moved."""
    found: dict[str, tuple[str, str]] = {}
    for node in reversed(file.nodes):
        if node.op == "DequantizeLinear" or node.op in EXPAND:
            found |= {name: node.inputs[at + 1:at + 3] for at, name in enumerate(node.inputs)
                      if len(node.inputs) > at + 2}
        elif node.op in MOVES and node.outputs[0] in found:
            found[node.inputs[0]] = found[node.outputs[0]]
    codes = (name for name, (_, dtype) in file.inputs.items() if dtype in ("uint8", "int8"))
    return {name: _input_params(file, name, *found.get(name, ("", ""))) for name in codes}


def _input_params(file: OnnxFile, name: str, scale: str, zero_point: str) -> QuantParams:
    if scale not in file.constants or zero_point not in file.constants:
        raise Unsupported(f"{file.name}: input '{name}' holds codes whose scale is computed; only constants "
                          f"have a row")
    dtype = file.inputs[name][1]
    return Grid(file.constants[scale], file.constants[zero_point], None, dtype).params(0)


def signed(quant: QuantParams) -> QuantParams:
    """The same reals in int8 codes, 128 lower."""
    return QuantParams(quant.scale, quant.zero_point - SHIFT["uint8"])
