"""Float islands of an integer .tflite file: ops that no integer kernel runs, or none runs fast, stand between
DEQUANTIZE and QUANTIZE. Ops of one island hand reals to each other.

Source: LiteRT 2.3, each kind tried on its reference kernels and on XNNPACK.
"""

from collections.abc import Mapping

from toolchain.ir.check import INTEGER, operand_dtypes
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import dequantize
from toolchain.lower.tflite_rewrite import Rewriting
from toolchain.lower.tflite_windows import scheme

_NEVER_ON_CODES = frozenset({"neg", "pow", "softplus", "layer_norm", "batch_norm"})
FLOAT_ONLY: Mapping[str, frozenset[str]] = {
    "int8": _NEVER_ON_CODES,
    "uint8": _NEVER_ON_CODES | {"batch_matmul", "elu", "abs", "exp", "log", "sqrt", "rsqrt"},
    "int16": _NEVER_ON_CODES | {"elu", "prelu", "hard_swish", "log_softmax", "argmax", "depth_to_space",
                                "space_to_depth"}}
"""dtype of codes -> kinds that LiteRT does not run on them, or runs wrongly (neg ignores the zero point)."""

FASTER_ON_REALS = frozenset({"relu", "prelu", "gelu", "hard_swish", "abs", "exp", "log", "sqrt", "rsqrt",
                             "div"})
"""Kinds whose int8 kernel in LiteRT goes code by code, 2 to 400 times slower than XNNPACK's three float ops
(1 x 56 x 56 x 64 codes on x86-64; hard_swish: 20 times)."""


def with_islands(graph: Graph, integer_only: bool = False) -> Graph:
    """The graph with each op that needs reals on reals, and those that are faster there.

    integer_only: only where there is no integer kernel, for accelerators that compute in integers
    """
    islands = _Islands(graph, frozenset() if integer_only else FASTER_ON_REALS)
    for op in graph.ops:
        islands.add(op)
    return islands.graph()


def on_island(graph: Graph, op: Op, faster: frozenset[str]) -> bool:
    codes = next((dtype for dtype in operand_dtypes(graph, op) if dtype in INTEGER), None)
    if codes is None:
        return False
    wanted = FLOAT_ONLY[codes] | (faster if codes == "int8" else frozenset())
    return op.kind in wanted or (op.kind == "average_pool2d" and scheme(graph, op) is None)


class _Islands(Rewriting):
    """faster: kinds that go on an island though they need not
    reals:  tensor of codes -> name of the tensor of its reals, of those that have one
    """

    def __init__(self, graph: Graph, faster: frozenset[str]):
        super().__init__(graph)
        self.faster = faster
        self.reals: dict[str, str] = {}

    def add(self, op: Op) -> None:
        if not on_island(self.old, op, self.faster):
            self.ops.append(op)
            return
        inputs, output = [self.real(t) for t in self.old.of(op)], self.old.tensors[op.name]
        if output.quant is None:
            self.last(op.kind, inputs, op.name, **op.attrs)
        elif self.codes_needed(op.name):
            self.reals[op.name] = self.inner(op.kind, inputs, f"{op.name}.float", **op.attrs)
            self.last("quantize", [self.reals[op.name]], op.name)
        else:
            del self.tensors[op.name]
            self.reals[op.name] = self.inner(op.kind, inputs, op.name, **op.attrs)

    def codes_needed(self, name: str) -> bool:
        """Whether something off the island reads the tensor."""
        return name in self.old.outputs or not all(
            on_island(self.old, op, self.faster) for op in self.old.consumers[name])

    def real(self, tensor: Tensor) -> str:
        """Name of the tensor's reals, made where there are none yet."""
        if tensor.quant is None:
            return tensor.name
        if tensor.name not in self.reals:
            name = f"{tensor.name}.float"
            self.reals[tensor.name] = self.inner("dequantize", [tensor.name], name) if tensor.data is None \
                else self.constant(name, dequantize(tensor.data, tensor.quant))
        return self.reals[tensor.name]
