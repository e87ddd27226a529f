"""Float islands of an integer .tflite file: ops that no integer kernel runs, or none runs fast, stand between
DEQUANTIZE and QUANTIZE. Ops of one island hand reals to each other, and cheap ones between two islands join
them.

Source: LiteRT 2.3, each kind tried on its reference kernels and on XNNPACK.
"""

from collections import Counter
from collections.abc import Mapping

from toolchain.ir.check import INTEGER, operand_dtypes
from toolchain.ir.graph import Graph, Op, Tensor
from toolchain.ir.quant import dequantize
from toolchain.lower.rewriting import Rewriting
from toolchain.lower.tflite_windows import scheme

_NEVER_ON_CODES = frozenset({"neg", "pow", "softplus", "layer_norm", "batch_norm"})
FLOAT_ONLY: Mapping[str, frozenset[str]] = {
    "int8": _NEVER_ON_CODES,
    "uint8": _NEVER_ON_CODES | {"batch_matmul", "elu", "abs", "exp", "log", "sqrt", "rsqrt"},
    "int16": _NEVER_ON_CODES | {"elu", "prelu", "hard_swish", "log_softmax", "argmax", "depth_to_space",
                                "space_to_depth"}}
"""dtype of codes -> kinds that LiteRT does not run on them, or runs wrongly (neg ignores the zero point)."""

FASTER_ON_REALS = frozenset({"relu", "prelu", "gelu", "hard_swish", "abs", "exp", "log", "sqrt", "rsqrt",
                             "div", "batch_matmul"})
"""Kinds whose int8 kernel in LiteRT goes code by code, 2 to 400 times slower than XNNPACK's three float ops
(1 x 56 x 56 x 64 codes on x86-64; hard_swish: 20 times)."""
JOINING = frozenset({"softmax", "add", "sub", "mul", "reshape"})
"""Kinds that compute on reals where all that they read comes from islands and all that reads them is on one:
so attention's softmax and mask, between two products."""


def with_islands(graph: Graph, integer_only: bool = False) -> Graph:
    """The graph with the ops of `on_islands` on reals."""
    islands = _Islands(graph, on_islands(graph, integer_only))
    for op in graph.ops:
        islands.add(op)
    return islands.graph()


def on_islands(graph: Graph, integer_only: bool = False) -> frozenset[str]:
    """The ops on codes that need reals, those that are faster on them, and those that join.

    integer_only: only where there is no integer kernel, for accelerators that compute in integers
    """
    needed = {op.name for op in graph.ops if _needs_reals(graph, op)}
    if integer_only:
        return frozenset(needed)
    in_bytes = [op for op in graph.ops if _codes(graph, op) == "int8"]
    needed |= {op.name for op in in_bytes if op.kind in FASTER_ON_REALS}
    return frozenset(needed | _joining(graph, needed, {op.name: op for op in in_bytes if op.kind in JOINING}))


def _joining(graph: Graph, islands: set[str], between: dict[str, Op]) -> set[str]:
    """Of the ops `between` those that no conversion is needed for, whichever of the others join."""
    def surrounded(op: Op) -> bool:
        read = [t.name for t in graph.of(op) if not t.is_constant]
        near = [*read, *(reader.name for reader in graph.consumers[op.name])]
        return op.name not in graph.outputs and all(name in islands or name in between for name in near)

    while leaving := [op.name for op in between.values() if not surrounded(op)]:
        between = {name: op for name, op in between.items() if name not in leaving}
    return set(between)


def _codes(graph: Graph, op: Op) -> str | None:
    return next((dtype for dtype in operand_dtypes(graph, op) if dtype in INTEGER), None)


def _needs_reals(graph: Graph, op: Op) -> bool:
    codes = _codes(graph, op)
    return codes is not None and (op.kind in FLOAT_ONLY[codes]
                                  or (op.kind == "average_pool2d" and scheme(graph, op) is None))


def island_note(graph: Graph, integer_only: bool) -> tuple[str, ...]:
    """What computes on reals in the file of an integer graph because LiteRT is faster so, in words."""
    faster = on_islands(graph, integer_only) - on_islands(graph, integer_only=True)
    kinds = Counter(op.kind for op in graph.ops if op.name in faster)
    if not kinds:
        return ()
    named = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return (f'the .tflite file computes {len(faster)} of {len(graph.ops)} ops in float between conversions, '
            f'where LiteRT is faster so ({named}); [tflite] islands = "needed" keeps them in integers',)


class _Islands(Rewriting):
    """names: of the ops that go on islands
    reals: tensor of codes -> name of the tensor of its reals, of those that have one
    """

    def __init__(self, graph: Graph, names: frozenset[str]):
        super().__init__(graph)
        self.names = names
        self.reals: dict[str, str] = {}

    def add(self, op: Op) -> None:
        if op.name not in self.names:
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
        return name in self.old.outputs or any(op.name not in self.names for op in self.old.consumers[name])

    def real(self, tensor: Tensor) -> str:
        """Name of the tensor's reals, made where there are none yet."""
        if tensor.quant is None:
            return tensor.name
        if tensor.name not in self.reals:
            name = f"{tensor.name}.float"
            self.reals[tensor.name] = self.inner("dequantize", [tensor.name], name) if tensor.data is None \
                else self.constant(name, dequantize(tensor.data, tensor.quant))
        return self.reals[tensor.name]
