"""ONNX operators as Graph ops: one rule each (ONNX operator specification, opsets 9 and later).

Literal: what the source has channels first is transposed to channels last before an op that needs it so, and
back after. Names that hold ':' are this scaffolding; the tensor that holds the node's result carries the
plain name.
"""

from collections.abc import Mapping

from toolchain.load.onnx_call import Rule
from toolchain.load.onnx_einsum import EINSUM
from toolchain.load.onnx_math import MATH
from toolchain.load.onnx_matrix import MATRIX
from toolchain.load.onnx_moves import MOVES
from toolchain.load.onnx_normalize import NORMALIZE
from toolchain.load.onnx_pool import POOL
from toolchain.load.onnx_qdq import QDQ
from toolchain.load.onnx_recurrent import RECURRENT
from toolchain.load.onnx_resize import RESIZE
from toolchain.load.onnx_rows import ROWS

RULES: Mapping[str, Rule] = {**MATRIX, **POOL, **NORMALIZE, **MATH, **MOVES, **RESIZE, **QDQ, **EINSUM,
                             **RECURRENT, **ROWS}

_CONTROL = "control flow is not read: export the branch that is used, or unroll the loop"
_BY_VALUE = "its shape depends on the values: leave it out of the export and do it in the application"
HINTS: Mapping[str, str] = {
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), _CONTROL),
    **dict.fromkeys(("NonZero", "Unique", "NonMaxSuppression", "Compress"), _BY_VALUE),
    **dict.fromkeys(("ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"),
                    "dynamic quantization is not read: give the float model, or quantize it statically"),
    **dict.fromkeys(("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Bernoulli",
                     "Multinomial"), "random numbers have no row: make them an input"),
}
"""What helps where an operator has no row."""
