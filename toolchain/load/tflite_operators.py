"""What the .tflite door in reads: one row per builtin operator.

Most have a kind of op with the same inputs; the others become compositions. Source: the TFLite schema and
each operator's kernel in tflite/kernels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import math

from toolchain.ir.ops import OPS
from toolchain.load.tflite_schema import BUILTIN, PADV2, RELATION, STRIDED_SLICE


@dataclass(frozen=True)
class Operator:
    """How an operator is read.

    kind:      kind of op that it becomes, or the name of a composition
    inputs:    fewest and most input tensors
    constants: positions of inputs that must be constant: axes, shapes, permutations
    outputs:   most output tensors
    codes:     whether its form holds for integer codes; else for plain numbers only
    options:   name of the options table, None where nothing in it is needed
    states:    positions of inputs that may be state variables
    """

    kind: str
    inputs: tuple[int, float] = (1, 1)
    constants: tuple[int, ...] = ()
    outputs: float = 1
    codes: bool = True
    options: str | None = None
    states: tuple[int, ...] = ()


def _rows() -> Mapping[str, Operator]:
    """Of the operators that stand for one kind of op each."""
    rows = {}
    for kind, row in BUILTIN.items():
        roles, extra = len(OPS[kind].inputs), len(row.constants)
        positions = tuple(range(roles, roles + extra))
        rows[row.operator] = Operator(kind, (roles + extra, roles + extra), positions, options=row.options)
    for row in RELATION.values():
        rows[row.operator] = Operator("compare", (2, 2), options=row.options)
    return rows


_WEIGHTED = {
    "CONV_2D": Operator("conv2d", (2, 3), options="Conv2DOptions"),
    "DEPTHWISE_CONV_2D": Operator("depthwise_conv2d", (2, 3), options="DepthwiseConv2DOptions"),
    "FULLY_CONNECTED": Operator("fully_connected", (2, 3), options="FullyConnectedOptions"),
    "TRANSPOSE_CONV": Operator("transpose_conv2d", (3, 4), (0,), options="TransposeConvOptions")}
_SHAPES = {
    "RESHAPE": Operator("reshape", (1, 2)),
    "SQUEEZE": Operator("reshape"),
    "EXPAND_DIMS": Operator("reshape", (2, 2)),
    "CONCATENATION": Operator("concat", (1, math.inf), options="ConcatenationOptions"),
    "PACK": Operator("pack", (1, math.inf), options="PackOptions"),
    "UNPACK": Operator("unpack", outputs=math.inf, options="UnpackOptions"),
    "SPLIT": Operator("split", (2, 2), (0,), outputs=math.inf),
    "SPLIT_V": Operator("split_v", (3, 3), (1, 2), outputs=math.inf),
    "STRIDED_SLICE": Operator("strided_slice", (4, 4), (1, 2, 3), options=STRIDED_SLICE.options),
    "BROADCAST_TO": Operator("broadcast_to", (2, 2), (1,)),
    "PADV2": Operator("pad", (3, 3), (1, 2), options=PADV2.options),
    "EMBEDDING_LOOKUP": Operator("embedding", (2, 2)),
    "SELECT": Operator("select", (3, 3))}
_COMPOSED = {
    "SQUARE": Operator("square", codes=False),
    "SQUARED_DIFFERENCE": Operator("squared_difference", (2, 2), codes=False),
    "ADD_N": Operator("add_n", (1, math.inf), codes=False),
    "RELU_N1_TO_1": Operator("clip"),
    "RELU_0_TO_1": Operator("clip"),
    "ARG_MIN": Operator("argmin", (2, 2), (1,), codes=False, options="ArgMinOptions"),
    "L2_NORMALIZATION": Operator("l2_normalization", options="L2NormOptions"),
    "L2_POOL_2D": Operator("l2_pool2d", codes=False, options="Pool2DOptions"),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Operator("lstm", (1, 24), codes=False, states=(18, 19),
                                             options="UnidirectionalSequenceLSTMOptions")}

OPERATORS: Mapping[str, Operator] = {**_rows(), **_WEIGHTED, **_SHAPES, **_COMPOSED}
CONTROL_FLOW = frozenset({"IF", "WHILE", "CALL_ONCE", "CALL", "STABLEHLO_WHILE", "STABLEHLO_CASE"})
NO_REFERENCE_KERNEL: Mapping[str, frozenset[str]] = {
    "int8": frozenset({"ELU", "TILE", "DEPTH_TO_SPACE", "SUM"}), "uint8": frozenset({"ELU"})}
"""dtype of codes -> operators whose version for it is missing from LiteRT 2.3's reference kernels, or wrong
there (SUM)."""
