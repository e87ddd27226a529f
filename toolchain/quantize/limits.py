"""Scales too far from each other for the kernels to requantize: they come of samples that hardly move."""

import math

import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import QuantParams

MULTIPLIER_BITS = 30
"""A multiplier's bits above the point: what `fixed_point` can hold."""
ONCE_BITS = 7
"""Of one that requantizes int16's 64-bit sums; TFLite Micro stops at more (common.cc)."""
REQUANTIZED_ONCE = frozenset({*WEIGHTED, "hard_swish"})
RESCALED = frozenset({"relu", "leaky_relu", "prelu", "abs", "neg", "mean", "sum"})
"""Kinds whose kernels multiply codes of one scale to another."""
FINEST = {"int8": {"add": 2.0**-19, "sub": 2.0**-19, "hard_swish": 2.0**-7},
          "int16": {"add": 2.0**-14, "sub": 2.0**-14}}
"""Output scale by the coarsest input's; from there down, TFLite Micro aborts (add_common.cc) or refuses
(hard_swish_common.cc)."""
FINEST_SWISH = 6 / 2.0**31
"""Input scale of an int16 hard_swish; 6 in its steps has to fit 32 bits."""
COARSEST_SIGMOID = 8.0
"""Input scale of logistic and tanh; from here on TFLite Micro takes even 0 as saturated (kernel_util.h
CalculateInputRadius gives 0)."""


def products(op: Op, scales: list[float]) -> float:
    """The scale, by the input scales, that the op's kernel multiplies to the output's; 0 for tables."""
    if op.kind in ("mul", "batch_matmul"):
        return math.prod(scales)
    if op.kind == "div":
        return scales[0] / scales[1]
    if op.kind == "hard_swish":
        return scales[0] ** 2 / 6
    return max(scales) if op.kind in RESCALED else 0.0


def check_multiplier(graph: Graph, op: Op, scales: float | np.ndarray, out: QuantParams) -> None:
    """Raise BadSamples where a multiplier from products' scales to the output's does not fit its bits."""
    bits = ONCE_BITS if out.dtype == "int16" and op.kind in REQUANTIZED_ONCE else MULTIPLIER_BITS
    if float(np.max(scales)) / float(out.scale) >= 2.0**bits:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale "
                         f"{float(out.scale):.3g} is 2**{bits} times finer than its products'; give samples "
                         f"like its training data")


def check_scales(graph: Graph, op: Op, coarsest: float, out: QuantParams) -> None:
    """Raise BadSamples where the op's kernel cannot bring its coarsest input's scale to the output's."""
    finest = FINEST[out.dtype].get(op.kind, 0)
    if op.kind == "hard_swish" and out.dtype == "int16" and coarsest <= FINEST_SWISH:
        raise BadSamples(f"{graph.name}: {op.name} reads values below {32768 * coarsest:.3g}; give samples "
                         f"like its training data")
    if float(out.scale) <= finest * coarsest:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale "
                         f"{float(out.scale):.3g} is {round(1 / finest):,} times finer than its inputs'; "
                         f"give samples like its training data")
    if op.kind in ("logistic", "tanh") and coarsest >= COARSEST_SIGMOID and out.dtype == "int8":
        raise BadSamples(f"{graph.name}: {op.name} ({op.kind}) reads values over {255 * coarsest:,.0f} wide, "
                         f"which INT8 cannot tell apart near 0; look at the preprocessing, or leave it in "
                         f'float ([quantize] scheme = "float32")')
