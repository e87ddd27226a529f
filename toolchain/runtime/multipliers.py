"""The integers that the scales of an int8 op become: multipliers, shifts, folded biases, tables.

The reference computes with them and the C that we emit carries them as constants: neither can drift from
the other. All are worked out in double from float32 scales, as TFLite Micro does. LiteRT rounds to float32
for mul, relu and leaky_relu: there a few codes in a million differ.
Sources: files of tensorflow/lite/micro/kernels and kernels/internal.
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


def weighted(x: QuantParams, weight: QuantParams, out: QuantParams) -> tuple[np.ndarray, np.ndarray]:
    """For conv2d, depthwise_conv2d, fully_connected: multipliers and shifts, () or (channels,), int64.

    kernel_util.cc PopulateConvolutionQuantizationParams, GetQuantizedConvolutionMultipler; the latter, which
    weights with a zero point have, multiplies the scales in float32.
    """
    product = x.scale * weight.scale if weight.zero_point.any() else np.float64(x.scale) * weight.scale
    return fixed_points(np.float64(product) / np.float64(out.scale))


def centred(weight: np.ndarray, quant: QuantParams) -> np.ndarray:
    """Weight codes less their zero point: int16, or as they are where it is 0."""
    return weight - quant.zero_point.astype(np.int16) if quant.zero_point.any() else weight


def folded_bias(x: QuantParams, weight: np.ndarray, bias: np.ndarray, axis: int) -> np.ndarray:
    """bias - zero_point * sum(weight) per channel on `axis`: what a sum over raw input codes lacks. int64.

    weight: codes less their zero point
    """
    others = tuple(i for i in range(weight.ndim) if i != axis)
    return bias.astype(np.int64) - int(x.zero_point) * weight.sum(axis=others, dtype=np.int64)


def sum_terms(a: QuantParams, b: QuantParams, out: QuantParams, bits: int = SUM_SHIFT
              ) -> tuple[Pair, Pair, Pair]:
    """For add and sub: of a's and b's codes, shifted left by `bits`, and of their sum.

    add_common.cc CalculateOpDataAdd, sub_common.cc CalculateOpDataSub.
    """
    twice = 2 * max(float(a.scale), float(b.scale))
    reals = float(a.scale) / twice, float(b.scale) / twice, twice / (2**bits * float(out.scale))
    return tuple(map(fixed_point, reals))


def product(a: QuantParams, b: QuantParams, out: QuantParams) -> Pair:
    """For mul: mul_common.cc CalculateOpDataMul."""
    return fixed_point(float(a.scale) * float(b.scale) / float(out.scale))


def ratio(x: QuantParams, out: QuantParams, alpha: float = 1.0) -> Pair:
    """From one scale to another, times |alpha|: {activations,quantize,leaky_relu}_common.cc."""
    return fixed_point(float(x.scale) * abs(float(np.float32(alpha))) / float(out.scale))


def average(x: QuantParams, out: QuantParams, count: int) -> Pair:
    """For mean over `count` codes: reference/reduce.h QuantizedMeanOrSum; times 1 / count, rounded down."""
    multiplier, shift = ratio(x, out)
    gain = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << gain) // count, shift - gain


def inverse_root(x: QuantParams, out: QuantParams) -> Pair:
    """For rsqrt: elementwise.cc SetRsqrtOutputMultiplier."""
    return fixed_point(1 / (math.sqrt(float(x.scale)) * float(out.scale)))


def hard_swish(x: QuantParams, out: QuantParams) -> tuple[Pair, Pair]:
    """For hard_swish, 16-bit multipliers: from x with 7 more bits to the output's scale, whose shift must not
    be to the left, and to 3 / 2**15. hard_swish_common.cc HardSwishPrepare, in float32.
    """
    fine = np.float32(1 / 128) * x.scale
    return _halved(float(fine / out.scale)), _halved(float(fine / np.float32(3 / 2**15)))


def _halved(real: float) -> Pair:
    """kernels/internal/common.h DownScaleInt32ToInt16Multiplier."""
    multiplier, shift = fixed_point(real)
    return min((multiplier + (1 << 15)) >> 16, 2**15 - 1), shift


def softmax_exps(x: QuantParams, beta: float) -> np.ndarray:
    """exp(-steps * scale * beta) for 0 to 255 steps below the largest code, 0 integer bits; int64 (256,).

    softmax_common.cc, reference/softmax.h: 5 integer bits, and 0 beyond their range.
    """
    multiplier, shift = fixed_point(min(float(np.float32(beta)) * float(x.scale) * 2**26, LARGEST))
    below = -np.arange(256)
    exps = fixedpoint.exp_on_negative_values(requantize(below, multiplier, shift), 5)
    return np.where(below >= -math.floor(31 * 2.0 ** (26 - shift)), exps, 0)
