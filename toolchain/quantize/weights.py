"""Weights as int8 or int4 and biases as int32 codes.

Source: TensorFlow Lite 8-bit quantization specification; for biases that would overflow, TensorFlow Lite's
tools/optimize/quantization_utils.cc AdjustWeightsForBiasScale.
"""

from dataclasses import replace

import numpy as np

from toolchain.ir.check import BIAS, WEIGHTED
from toolchain.ir.graph import Op, Tensor
from toolchain.ir.quant import QuantParams, quantize, round_half_away, weight_params

BIAS_LIMIT = {"int8": 2**30, "int16": 2**46}
"""dtype of the activations -> largest bias code. The other half of int32 holds 33,155 products of at most
255 * 127; of the int64 sums, 47 bits are left by the multiplier of 16 (kernels_int16.requantize_once)."""
TINY = np.finfo(np.float32).tiny
IN_4_BITS = frozenset({"conv2d", "depthwise_conv2d", "fully_connected"})
"""Kinds whose int8 kernels take int4 weights (LiteRT 2.3: transpose_conv.cc does not)."""


def quantize_weights(op: Op, x: QuantParams, weight: Tensor, bias: Tensor, dtype: str = "int8",
                     known: QuantParams | None = None) -> tuple[Tensor, Tensor]:
    """int8 weight, symmetric, narrow range, per output channel; int32 bias at scale x * scale weight, int64
    where x has int16 codes.

    x:     parameters of the op's input
    dtype: of the weight's codes: "int4" is taken where kernels take it, which is under int8 activations
    known: parameters of the weight, instead of those that its largest values give; a scale with which the
           bias would overflow is raised all the same
    """
    axis = WEIGHTED[op.kind]
    taken = dtype if op.kind in IN_4_BITS and x.dtype == "int8" else "int8"
    params = _with_room(known or _channel_params(weight.data, axis, taken), bias.data, x)
    codes = quantize(weight.data, params, narrow=True)
    products = float(x.scale) * params.scale.astype(np.float64)
    dtype = BIAS[x.dtype]
    bias_codes = round_half_away(bias.data / products).astype(dtype)
    bias_params = QuantParams(products.astype(np.float32), params.zero_point, 0, dtype)
    return (replace(weight, dtype="int8", data=codes, quant=params),
            replace(bias, dtype=dtype, data=bias_codes, quant=bias_params))


def _channel_params(weight: np.ndarray, axis: int, dtype: str) -> QuantParams:
    """`weight_params`, but for channels that are all zero (pruned, masked): any scale will do for the
    weights, but the bias has to be told with it, so it takes the widest channel's."""
    params = weight_params(weight, axis, dtype)
    others = tuple(i for i in range(weight.ndim) if i != axis)
    empty = ~weight.any(axis=others)
    scale = np.where(empty & ~empty.all(), params.scale[~empty].max(initial=0), params.scale)
    return replace(params, scale=scale)


def _with_room(params: QuantParams, bias: np.ndarray, x: QuantParams) -> QuantParams:
    """Scales so small that the bias would overflow (dead, batch norm folded) raised until it fits; the
    weights lose bits that the bias would drown anyway."""
    floor = np.maximum(np.abs(bias, dtype=np.float64) / BIAS_LIMIT[x.dtype], TINY) / float(x.scale)
    return replace(params, scale=np.maximum(params.scale, floor).astype(np.float32))
