"""The op table on 16-bit codes with 8-bit weights (static_wi8_ai16), as TensorFlow Lite Micro's kernels.

Codes are symmetric: every zero point is 0. Sums of weighted ops are int64, and requantized once, by a
multiplier of 16 bits. Kernels as in kernels_int8.py, with the same way of naming their sources.
"""

from collections.abc import Mapping
from dataclasses import dataclass
import math

import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.quant import (
    QuantParams,
    clamp_range,
    dequantize,
    fixed_point,
    quantize,
    requantize,
    round_half_away,
)
from toolchain.runtime import kernels_float, multipliers, tables_int16
from toolchain.runtime.codes import expect_output, finish
from toolchain.runtime.kernels_int8 import INT8, Kernel
from toolchain.runtime.windows import convolution, overlap_add, pad_spatial, taps

SUM_SHIFT = 15
"""Bits that add and sub put below the point (add_common.cc)."""
GATE_BITS, MOST_LIFT = 26, 40
"""Of hard_swish: bits that tell 6, and how many of them are below a step at most."""
SOFTMAX_STEP = 10.0 / 65535.0
"""Scale of what softmax looks exponentials up by."""


# Weighted ---------------------------------------------------------------------------------------------------

def requantize_once(accumulator: np.ndarray, multiplier, shift) -> np.ndarray:
    """accumulator * multiplier * 2**(shift - 31), rounded once, halves upwards; int64 in, int64 out.

    kernels/internal/common.cc MultiplyByQuantizedMultiplier of an int64: the multiplier is first rounded to
    16 bits.
    """
    factor, total = reduced(multiplier, shift)
    return (accumulator * factor + (np.int64(1) << (total - 1))) >> total


def reduced(multiplier, shift) -> tuple[np.ndarray, np.ndarray]:
    """A multiplier rounded to 16 bits, and how far its product is shifted to the right; int64."""
    multiplier = np.asarray(multiplier, np.int64)
    factor = np.where(multiplier < 0x7FFF0000, (multiplier + (1 << 15)) >> 16, 0x7FFF)
    return factor, 15 - np.asarray(shift, np.int64)


def _finish_weighted(accumulator: np.ndarray, op: Op, bias: np.ndarray, quants, out: QuantParams):
    scaled = requantize_once(accumulator.astype(np.int64) + bias, *multipliers.weighted(*quants[:2], out))
    return np.clip(scaled, *clamp_range(op.attrs["activation"], out)).astype(np.int16)


def conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/conv.h ConvPerChannel of int16; sums stay exact in float64."""
    x, weight, bias = codes
    padded = pad_spatial(x.astype(np.float64), op.attrs["pads"], 0)
    return _finish_weighted(convolution(padded, weight.astype(np.float64), op.attrs), op, bias, quants, out)


def transpose_conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/transpose_conv.h TransposeConv of int16."""
    x, weight, bias = codes
    total = overlap_add(x.astype(np.float64), weight.astype(np.float64), op.attrs)
    return _finish_weighted(total, op, bias, quants, out)


def depthwise_conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/depthwise_conv.h DepthwiseConvPerChannel of int16."""
    x, weight, bias = codes
    x = pad_spatial(np.repeat(x, op.attrs["multiplier"], axis=-1).astype(np.int64), op.attrs["pads"], 0)
    kernel = weight.astype(np.int64)
    total = sum(view * kernel[0, i, j] for i, j, view in taps(x, weight.shape[1:3], op.attrs))
    return _finish_weighted(total, op, bias, quants, out)


def fully_connected(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/fully_connected.h of int16."""
    x, weight, bias = codes
    return _finish_weighted(x.astype(np.float64) @ weight.astype(np.float64).T, op, bias, quants, out)


# Element by element -----------------------------------------------------------------------------------------

def add_or_sub(op, codes, quants, out) -> np.ndarray:
    """reference/add.h AddElementwise, reference/sub.h: as for int8, with 15 bits below the point."""
    *terms, total = multipliers.sum_terms(*quants, out, SUM_SHIFT)
    a, b = (requantize(code.astype(np.int64) << SUM_SHIFT, *term)
            for code, term in zip(codes, terms, strict=True))
    return finish(a + b if op.kind == "add" else a - b, 0, *total, out, op.attrs["activation"])


def mul(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/mul.h of int16."""
    a, b = (code.astype(np.int64) for code in codes)
    return finish(a * b, 0, *multipliers.product(*quants, out), out, op.attrs["activation"])


def leaky_relu(op, codes, quants, out) -> np.ndarray:
    """reference/leaky_relu.h QuantizeLeakyRelu."""
    alpha, x = op.attrs["alpha"], codes[0].astype(np.int64)
    below = requantize(x, *multipliers.ratio(quants[0], out, alpha)) * (-1 if alpha < 0 else 1)
    y = np.where(x >= 0, requantize(x, *multipliers.ratio(quants[0], out)), below)
    return np.clip(y, -32768, 32767).astype(np.int16)


def relu(op, codes, quants, out) -> np.ndarray:
    """activations_common.cc: requantized and clamped, for relu and relu6."""
    return finish(codes[0], 0, *multipliers.ratio(quants[0], out), out, op.kind)


@dataclass(frozen=True)
class HardSwish:
    """lift: bits that the gate relu6(x + 3) has below a step of x's scale, so that 6 has GATE_BITS at least
    three, six: in those bits;  pair: from x's scale squared, with those bits and times 6, to the output's
    """

    lift: int
    three: int
    six: int
    pair: multipliers.Pair


def hard_swish_integers(x: QuantParams, out: QuantParams) -> HardSwish:
    scale = float(x.scale)
    lift = min(max(GATE_BITS - math.frexp(6 / scale)[1], 0), MOST_LIFT)
    three, six = (int(round_half_away(number * 2.0**lift / scale)) for number in (3.0, 6.0))
    return HardSwish(lift, three, six, fixed_point(scale * scale / (6 * float(out.scale) * 2.0**lift)))


def hard_swish(op, codes, quants, out) -> np.ndarray:
    """x * relu6(x + 3) / 6 in whole steps, rounded once; TFLite has no 16-bit kernel (Howard et al. 2019)."""
    integers, x = hard_swish_integers(quants[0], out), codes[0].astype(np.int64)
    gate = np.clip((x << integers.lift) + integers.three, 0, integers.six)
    return np.clip(requantize_once(x * gate, *integers.pair), -32768, 32767).astype(np.int16)


def logistic(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/logistic.h of int16."""
    expect_output(op, out, 1 / 32768, 0)
    return tables_int16.logistic(codes[0].astype(np.int64), float(quants[0].scale)).astype(np.int16)


def tanh(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/tanh.h of int16."""
    expect_output(op, out, 1 / 32768, 0)
    return tables_int16.tanh(codes[0].astype(np.int64), float(quants[0].scale)).astype(np.int16)


def softmax(op, codes, quants, out) -> np.ndarray:
    """reference/softmax.h SoftmaxInt16: exp and reciprocal by interpolated tables of 513 entries."""
    expect_output(op, out, 1 / 32768, 0)
    scale = float(quants[0].scale) * float(np.float32(op.attrs["beta"])) / SOFTMAX_STEP
    steps = codes[0].astype(np.int64) - codes[0].max(axis=-1, keepdims=True)
    exps = tables_int16.exp(requantize(steps, *fixed_point(scale)) + 32767)
    total = exps.sum(axis=-1, keepdims=True)
    headroom = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    shifted = ((total << (headroom - 1)) + (1 << 13)) >> 14
    inverse = tables_int16.reciprocal(shifted - (1 << 15) - (1 << 16))
    right = 31 - headroom
    y = (exps * inverse + (np.int64(1) << (right - 1))) >> right
    return np.clip(y, 0, 32767).astype(np.int16)


def by_float(op, codes, quants, out) -> np.ndarray:
    """What TFLite Micro has no 16-bit kernel for: the float kernel on the reals, rounded to the codes."""
    reals = [dequantize(code, quant) if quant is not None else code
             for code, quant in zip(codes, quants, strict=True)]
    with np.errstate(all="ignore"):
        y = kernels_float.FLOAT[op.kind](op, *reals)
    return quantize(np.nan_to_num(y, posinf=3e38, neginf=-3e38), out)


# Reductions and moves ---------------------------------------------------------------------------------------

def mean(op, codes, quants, out) -> np.ndarray:
    """reference/reduce.h QuantizedMeanOrSum."""
    axes = op.attrs["axes"]
    count = math.prod(codes[0].shape[axis] for axis in axes)
    total = codes[0].sum(axis=axes, keepdims=op.attrs["keepdims"], dtype=np.int64)
    return finish(total, 0, *multipliers.average(quants[0], out, count), out)


ON_ANY_CODES: tuple[str, ...] = (
    "average_pool2d", "max_pool2d", "pad", "mirror_pad", "concat", "slice", "gather", "tile", "reshape",
    "transpose", "resize_nearest", "depth_to_space", "space_to_depth", "reduce_max", "reduce_min",
    "minimum", "maximum", "select", "argmax")
"""Kinds whose int8 kernel takes codes of any width."""

INT16: Mapping[str, Kernel] = {
    **dict.fromkeys(kernels_float.FLOAT, by_float),
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "transpose_conv2d": transpose_conv2d,
    "fully_connected": fully_connected,
    "add": add_or_sub,
    "sub": add_or_sub,
    "mul": mul,
    "relu": relu,
    "relu6": relu,
    "leaky_relu": leaky_relu,
    "hard_swish": hard_swish,
    "logistic": logistic,
    "tanh": tanh,
    "softmax": softmax,
    "mean": mean,
    **{kind: INT8[kind] for kind in ON_ANY_CODES},
}
INTEGER_KINDS = frozenset(kind for kind, kernel in INT16.items() if kernel is not by_float)
"""Kinds with arithmetic of their own on 16-bit codes."""
