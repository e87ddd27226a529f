"""prelu and div: each pair of codes by itself, so that a table of all pairs has every answer.

Kernels as in kernels_int8.py, with the same way of naming their sources.
"""

from collections.abc import Callable

import numpy as np

from toolchain.ir.quant import (
    QuantParams,
    clamp_range,
    divide_by_power_of_two,
    doubling_high_mul,
    fixed_point,
    requantize,
)
from toolchain.runtime import fixedpoint
from toolchain.runtime.multipliers import Pair

EVERY = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.int64)
"""Codes in the order of their bits as unsigned numbers."""
BEYOND = 2**31 - 1
"""What a quotient saturates at."""


def _by_table(codes, quants, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """`function` of both operands less their zero points, for all 65,536 pairs of codes, looked up."""
    a, b = (EVERY - int(quant.zero_point) for quant in quants)
    return function(a[:, None], b)[tuple(code.view(np.uint8) for code in codes)]


def prelu_pairs(x: QuantParams, alpha: QuantParams, out: QuantParams) -> tuple[Pair, Pair]:
    """From 0 on; below 0, of the product with alpha. prelu_common.cc CalculatePreluParams."""
    return (fixed_point(float(x.scale) / float(out.scale)),
            fixed_point(float(x.scale) * float(alpha.scale) / float(out.scale)))


def prelu(op, codes, quants, out) -> np.ndarray:
    """reference/prelu.h BroadcastPrelu4DSlow."""
    above, below = prelu_pairs(*quants, out)

    def every_pair(x, alpha):
        y = np.where(x >= 0, requantize(x, *above), requantize(x * alpha, *below)) + int(out.zero_point)
        return np.clip(y, -128, 127).astype(np.int8)

    return _by_table(codes, quants, every_pair)


def quotient_pair(a: QuantParams, b: QuantParams, out: QuantParams) -> Pair:
    """For div, in float32 as div.cc CalculateOpDataDiv has it."""
    return fixed_point(float(a.scale / (b.scale * out.scale)))


def div(op, codes, quants, out) -> np.ndarray:
    """reference/div.h DivElementwise. LiteRT has no int8 division.

    TFLite leaves a division by 0 and a quotient of more than 32 bits undefined: here they saturate, and 0 / 0
    is 0.
    """
    pair, limits = quotient_pair(*quants, out), clamp_range(op.attrs["activation"], out)

    def every_pair(a, b):
        return np.clip(_quotient(a, b, *pair) + int(out.zero_point), *limits).astype(np.int8)

    return _by_table(codes, quants, every_pair)


def _quotient(a: np.ndarray, b: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """a / b * multiplier * 2**(shift - 31) by b's reciprocal; `a` takes all bits before it is multiplied."""
    a, size = np.where(b < 0, -a, a), np.abs(b)
    inverse, bits = fixedpoint.reciprocal(np.maximum(size, 1), 31)
    headroom = _sign_bits(a)
    scaled = doubling_high_mul(doubling_high_mul(a << headroom, inverse), multiplier)
    exponent = bits + headroom - shift
    y = np.where(exponent > 31, 0, divide_by_power_of_two(scaled, np.clip(exponent, 0, 31)))
    left = scaled << np.clip(-exponent, 0, 31)
    y = np.where(exponent < 0, np.clip(left, -BEYOND, BEYOND), y)
    return np.where(b == 0, np.sign(a) * BEYOND, y)


def _sign_bits(value: np.ndarray) -> np.ndarray:
    """Bits after the first of an int32 that only repeat it; 31 of 0 and -1."""
    return 31 - np.frexp(np.where(value < 0, ~value, value).astype(np.float64))[1]
