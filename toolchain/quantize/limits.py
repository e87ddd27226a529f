"""Scales too far from each other for the kernels to requantize: they come of samples that hardly move."""

import math

import numpy as np

from toolchain.errors import BadSamples
from toolchain.ir.graph import Graph, Op
from toolchain.ir.quant import QuantParams

MULTIPLIER_LIMIT = 2.0**30
"""What `fixed_point` can hold."""
RESCALED = frozenset({"relu", "leaky_relu", "prelu", "abs", "neg", "mean", "sum"})
"""Kinds whose kernels multiply codes of one scale to another."""
FINEST = {"int8": {"add": 2.0**-19, "sub": 2.0**-19, "hard_swish": 2.0**-7},
          "int16": {"add": 2.0**-14, "sub": 2.0**-14}}
"""Output scale by the coarsest input's; from there down, TFLite Micro aborts (add_common.cc) or refuses
(hard_swish_common.cc)."""
COARSEST_SIGMOID = 8.0
"""Input scale of logistic and tanh; from here on TFLite Micro takes even 0 as saturated (kernel_util.h
CalculateInputRadius gives 0)."""


def products(op: Op, scales: list[float]) -> float:
    """The scale, by the input scales, that the op's kernel multiplies to the output's; 0 for tables."""
    if op.kind in ("mul", "batch_matmul"):
        return math.prod(scales)
    if op.kind == "div":
        return scales[0] / scales[1]
    return max(scales) if op.kind in RESCALED else 0.0


def check_multiplier(graph: Graph, op: Op, products, out: np.ndarray) -> None:
    if float(np.max(products)) / float(out) >= MULTIPLIER_LIMIT:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale {float(out):.3g} "
                         f"is 2**30 times finer than its products'; give samples like its training data")


def check_scales(graph: Graph, op: Op, coarsest: float, out: QuantParams) -> None:
    finest = FINEST[out.dtype].get(op.kind, 0)
    if float(out.scale) <= finest * coarsest:
        raise BadSamples(f"{graph.name}: {op.name} hardly moved in calibration; its scale "
                         f"{float(out.scale):.3g} is {round(1 / finest):,} times finer than its inputs'; "
                         f"give samples like its training data")
    if op.kind in ("logistic", "tanh") and coarsest >= COARSEST_SIGMOID and out.dtype == "int8":
        raise BadSamples(f"{graph.name}: {op.name} ({op.kind}) reads values over {255 * coarsest:,.0f} wide, "
                         f"which INT8 cannot tell apart near 0; look at the preprocessing, or leave it in "
                         f'float ([quantize] scheme = "float32")')
