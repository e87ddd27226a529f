"""Curves of one operand in 8-bit integers: 256 codes have 256 results. Kernels as in kernels_int8.py.

Where TensorFlow Lite Micro has an int8 kernel, its codes; where only LiteRT has one, those of its reference
kernel; else what dequantize, the float operator and quantize give one after the other.
"""

from collections.abc import Callable, Mapping
import math

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Op
from toolchain.ir.quant import (
    BEYOND,
    QuantParams,
    dequantize,
    divide_by_power_of_two,
    quantize,
    requantize,
    round_half_away,
)
from toolchain.runtime import fixedpoint, multipliers, pointwise_float
from toolchain.runtime.codes import by_table, finish

INT16 = (-(2**15), 2**15 - 1)
RSQRT_SHIFT = 20
"""Fraction bits that rsqrt.cc gives 1 / sqrt(code)."""

Real = Callable[[Op, np.ndarray], np.ndarray]


# By tables of reals -----------------------------------------------------------------------------------------

def table(op, codes, quants, out) -> np.ndarray:
    """elu.cc PopulateLookupTable, LiteRT's reference/integer_ops/lut.h LUTPopulate: times 1 / scale."""
    def every_code(every):
        y = TABLE[op.kind](op, _real(every, quants[0]))
        return _clipped(y * (np.float32(1) / out.scale), out)

    return by_table(codes[0], every_code)


def _real(every: np.ndarray, quant: QuantParams) -> np.ndarray:
    return quant.scale * (every - quant.zero_point).astype(np.float32)


def _clipped(steps: np.ndarray, out: QuantParams) -> np.ndarray:
    """Codes of steps from 0, rounded; what is no number gets the lowest."""
    steps = np.clip(np.nan_to_num(steps, nan=-BEYOND), -BEYOND, BEYOND)
    return np.clip(round_half_away(steps).astype(np.float64) + out.zero_point, -128, 127).astype(np.int8)


def _elu(op: Op, x: np.ndarray) -> np.ndarray:
    return np.where(x < 0, _exp(op, np.minimum(x, 0)) - 1, x)


def _gelu(op: Op, x: np.ndarray) -> np.ndarray:
    if op.attrs["approximate"]:
        return pointwise_float.gelu(op, x.astype(np.float64))
    return np.array([0.5 * v * math.erfc(-v * math.sqrt(0.5)) for v in x.tolist()], np.float32)


def _exp(op: Op, x: np.ndarray) -> np.ndarray:
    """Up to 80: exp of that is below the largest float32."""
    return np.exp(np.minimum(x, 80).astype(np.float64)).astype(np.float32)


def _log(op: Op, x: np.ndarray) -> np.ndarray:
    """What has no logarithm gets the lowest code."""
    return np.log(x.astype(np.float64), where=x > 0, out=np.full(x.shape, -float(BEYOND))).astype(np.float32)


TABLE: Mapping[str, Real] = {"elu": _elu, "gelu": _gelu, "exp": _exp, "log": _log}
"""In double, rounded to float32 once: the C library's functions are as good as exact, numpy's are not."""


def sqrt(op, codes, quants, out) -> np.ndarray:
    """LiteRT's elementwise.cc SqrtEvalQuantized, which rounds down. Below 0, where it gives up, as of 0."""
    def every_code(every):
        return _clipped(np.trunc(np.sqrt(np.maximum(_real(every, quants[0]), 0)) / out.scale), out)

    return by_table(codes[0], every_code)


def softplus(op, codes, quants, out) -> np.ndarray:
    """No TFLite kernel: dequantize, softplus, quantize."""
    return by_table(codes[0], lambda every: quantize(
        pointwise_float.softplus(op, dequantize(every, quants[0])), out))


def power(op, codes, quants, out) -> np.ndarray:
    """No TFLite kernel: dequantize, pow by the one exponent, quantize. What is no number gets the lowest.

    Raises Unsupported for several exponents.
    """
    if codes[1].size != 1:
        raise Unsupported(f"{op.name}: int8 pow by {codes[1].size} exponents; a table has one")
    (exponent,) = dequantize(codes[1], quants[1]).ravel()

    def every_code(every):
        with np.errstate(all="ignore"):
            return _clipped(np.power(dequantize(every, quants[0]), exponent) / out.scale, out)

    return by_table(codes[0], every_code)


# In fixed point ---------------------------------------------------------------------------------------------

def absolute(op, codes, quants, out) -> np.ndarray:
    """elementwise.cc AbsEvalQuantized."""
    zero, pair = int(quants[0].zero_point), multipliers.ratio(quants[0], out)
    return by_table(codes[0], lambda every: finish(np.abs(every - zero), 0, *pair, out))


def negative(op, codes, quants, out) -> np.ndarray:
    """No TFLite kernel that knows scales: reference/integer_ops/mul.h by code -1 at scale 1."""
    zero, pair = int(quants[0].zero_point), multipliers.ratio(quants[0], out)
    return by_table(codes[0], lambda every: finish(zero - every, 0, *pair, out))


def rsqrt(op, codes, quants, out) -> np.ndarray:
    """elementwise.cc RsqrtEvalQuantized. Code of 0: the highest; so too below, where it gives up."""
    multiplier, shift = multipliers.inverse_root(quants[0], out)

    def every_code(every):
        x = every - int(quants[0].zero_point)
        inverse, bits = fixedpoint.inverse_sqrt(np.maximum(x, 1))
        y = requantize(requantize(1, inverse, RSQRT_SHIFT - bits), multiplier, shift - RSQRT_SHIFT)
        return np.where(x > 0, np.clip(y + out.zero_point, -128, 127), 127).astype(np.int8)

    return by_table(codes[0], every_code)


def hard_swish(op, codes, quants, out) -> np.ndarray:
    """reference/hard_swish.h in 16 bits, with 7 of them below the code: x times a share of 1 that is x from
    -3 to 3 brought to [0, 1]."""
    to_output, to_share = multipliers.hard_swish(quants[0], out)

    def every_code(every):
        x = (every - int(quants[0].zero_point)) << 7
        (gain, gain_shift), (factor, factor_shift) = to_output, to_share
        share = _high_mul16(_saturated(x << max(factor_shift - 1, 0)), factor)
        share = _saturated(share << 1) if factor_shift > 0 else divide_by_power_of_two(share, -factor_shift)
        product = ((share + (1 << 15)) >> 1) * _high_mul16(x, gain)
        cut = np.sign(product) * (np.abs(product) >> 15)
        y = divide_by_power_of_two(cut, -gain_shift) + out.zero_point
        return np.clip(y, -128, 127).astype(np.int8)

    return by_table(codes[0], every_code)


def _saturated(value: np.ndarray) -> np.ndarray:
    return np.clip(value, *INT16)


def _high_mul16(a: np.ndarray, b: int) -> np.ndarray:
    """gemmlowp SaturatingRoundingDoublingHighMul of 16 bits: round(a * b / 2**15), b >= 0."""
    product = a * b
    nudged = product + np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    return np.sign(nudged) * (np.abs(nudged) >> 15)
