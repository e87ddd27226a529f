"""The integers that the scales of an int8 op become: multipliers, shifts, folded biases, tables.

The reference computes with them and the C that we emit carries them as constants: neither can drift from the
other. Where a product of scales is rounded to float32 before it becomes a multiplier, that is TensorFlow Lite's
doing and decides codes. Sources: files of tensorflow/lite/micro/kernels and kernels/internal.
"""

import math

import numpy as np

from toolchain.ir.quant import QuantParams, fixed_point, fixed_points, requantize
from toolchain.runtime import fixedpoint

Pair = tuple[int, int]
"""(multiplier, shift) as `ir.quant.fixed_point` gives them."""
SUM_SHIFT = 20
"""Bits that add and sub put below the point."""
LARGEST = 2.0**30 - 1
"""Where multipliers of exp, logistic and tanh are cut: beyond, only a difference of 0 is in their range."""


def weighted(kind: str, x: QuantParams, weight: QuantParams, out: QuantParams):
    """Multipliers and shifts (int64) of conv2d, depthwise_conv2d, fully_connected: () or one per output channel.

    kernel_util.cc PopulateConvolutionQuantizationParams: in double. fully_connected_common.cc: with
    per-tensor weights the product of scales is rounded to float32 first.
    """
    if kind == "fully_connected" and weight.axis is None:
        product = np.float64(x.scale * weight.scale)
    else:
        product = np.float64(x.scale) * np.float64(weight.scale)
    return fixed_points(product / np.float64(out.scale))


def folded_bias(x: QuantParams, weight: np.ndarray, bias: np.ndarray, axis: int) -> np.ndarray:
    """bias - zero_point * sum(weight) per channel on `axis`: what a sum over raw input codes lacks. int64."""
    others = tuple(i for i in range(weight.ndim) if i != axis)
    return bias.astype(np.int64) - int(x.zero_point) * weight.sum(axis=others, dtype=np.int64)


def sum_terms(kind: str, a: QuantParams, b: QuantParams, out: QuantParams) -> tuple[Pair, Pair, Pair]:
    """For add and sub: of a's and b's codes, shifted left by SUM_SHIFT, and of their sum.

    add_common.cc CalculateOpDataAdd works in double, sub_common.cc CalculateOpDataSub in float32.
    """
    real = np.float64 if kind == "add" else np.float32
    a_scale, b_scale, y_scale = (real(quant.scale) for quant in (a, b, out))
    twice = real(2) * max(a_scale, b_scale)
    total = twice / (real(2**SUM_SHIFT) * y_scale)
    return tuple(fixed_point(float(term)) for term in (a_scale / twice, b_scale / twice, total))


def product(a: QuantParams, b: QuantParams, out: QuantParams) -> Pair:
    """For mul: mul_common.cc, in double."""
    return fixed_point(float(np.float64(a.scale) * np.float64(b.scale) / np.float64(out.scale)))


def average(x: QuantParams, out: QuantParams, count: int) -> Pair:
    """For mean over `count` codes, 1 / count folded in, rounded down: reference/reduce.h QuantizedMeanOrSum."""
    multiplier, shift = fixed_point(float(np.float64(x.scale) / np.float64(out.scale)))
    gain = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << gain) // count, shift - gain


def softmax_exps(x: QuantParams, beta: float) -> np.ndarray:
    """exp(-steps * scale * beta) for 0 to 255 steps below the largest code, 0 integer bits; int64 (256,).

    softmax_common.cc, reference/softmax.h: 5 integer bits, and 0 beyond their range.
    """
    real = float(np.float32(beta)) * float(x.scale) * 2**26
    multiplier, shift = fixed_point(min(real, LARGEST))
    below = -np.arange(256)
    exps = fixedpoint.exp_on_negative_values(requantize(below, multiplier, shift), 5)
    return np.where(below >= -math.floor(31 * 2.0 ** (26 - shift)), exps, 0)
