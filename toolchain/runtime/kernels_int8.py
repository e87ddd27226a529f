"""The op table in 8-bit integers, bit for bit as TensorFlow Lite Micro's reference kernels.

A kernel takes (op, input codes, their QuantParams, the output's QuantParams) and returns the output codes. It
names the TFLite file whose arithmetic it has: under tensorflow/lite/micro/kernels, or kernels/internal.
"""

from collections.abc import Callable, Mapping, Sequence
import math

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Op
from toolchain.ir.quant import QuantParams, clamp_range, dequantize, quantize
from toolchain.runtime import kernels_float, multipliers, pointwise_int8
from toolchain.runtime.codes import expect_same, finish, rescaled
from toolchain.runtime.windows import pad_spatial, patches, taps, window_sizes

Params = QuantParams | None
Kernel = Callable[[Op, Sequence[np.ndarray], Sequence[Params], Params], np.ndarray]


# Weighted ---------------------------------------------------------------------------------------------------

def _matmul(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Exact products of int8 rows and weight [O, K]: sums below 2**24 in float32, below 2**53 in float64."""
    exact = np.float32 if weight.shape[1] * 2**14 < 2**24 else np.float64
    return rows.astype(exact) @ weight.astype(exact).T


def _finish_weighted(accumulator: np.ndarray, op: Op, codes, quants, out: QuantParams) -> np.ndarray:
    """Fold in the bias and what the input's zero point adds, then requantize."""
    offset = multipliers.folded_bias(quants[0], codes[1], codes[2], WEIGHTED[op.kind])
    pairs = multipliers.weighted(*quants[:2], out)
    return finish(accumulator, offset, *pairs, out, op.attrs["activation"])


def conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/conv.h ConvPerChannel; padding holds the input's zero point."""
    x, weight, _ = codes
    rows = patches(pad_spatial(x, op.attrs["pads"], quants[0].zero_point), weight.shape[1:3], op.attrs)
    accumulator = _matmul(rows, weight.reshape(len(weight), -1))
    return _finish_weighted(accumulator, op, codes, quants, out)


def depthwise_conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/depthwise_conv.h DepthwiseConvPerChannel."""
    x, weight, _ = codes
    x = np.repeat(x, op.attrs["multiplier"], axis=-1).astype(np.int32)
    x, kernel = pad_spatial(x, op.attrs["pads"], quants[0].zero_point), weight.astype(np.int32)
    accumulator = sum(view * kernel[0, i, j] for i, j, view in taps(x, weight.shape[1:3], op.attrs))
    return _finish_weighted(accumulator, op, codes, quants, out)


def fully_connected(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/fully_connected.h."""
    return _finish_weighted(_matmul(*codes[:2]), op, codes, quants, out)


# Reductions and moves ---------------------------------------------------------------------------------------

def average_pool2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/pooling.h AveragePool: raw codes, padding left out, halves away from zero."""
    expect_same(op, quants, out)
    padded = pad_spatial(codes[0].astype(np.int32), op.attrs["pads"], 0)
    total = sum(view for _, _, view in taps(padded, op.attrs["kernel"], op.attrs))
    sizes = window_sizes(codes[0].shape[1:3], op.attrs)[..., None]
    y = np.sign(total) * ((np.abs(total) + sizes // 2) // sizes)
    return np.clip(y, *clamp_range(op.attrs["activation"], out)).astype(np.int8)


def max_pool2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/pooling.h MaxPool."""
    expect_same(op, quants, out)
    y = kernels_float.max_of_windows(op, codes[0], -128)
    return np.clip(y, *clamp_range(op.attrs["activation"], out)).astype(np.int8)


def mean(op, codes, quants, out) -> np.ndarray:
    """reference/reduce.h QuantizedMeanOrSum."""
    x, axes = codes[0], op.attrs["axes"]
    count = math.prod(x.shape[axis] for axis in axes)
    total = x.sum(axis=axes, keepdims=op.attrs["keepdims"], dtype=np.int64)
    return finish(total, -int(quants[0].zero_point) * count, *multipliers.average(quants[0], out, count), out)


def pad(op, codes, quants, out) -> np.ndarray:
    """pad_common.cc: padding holds the output's zero point."""
    expect_same(op, quants, out)
    return np.pad(codes[0], op.attrs["pads"], constant_values=out.zero_point)


def move(op, codes, quants, out) -> np.ndarray:
    """concat, reshape, transpose."""
    expect_same(op, quants, out)
    return kernels_float.FLOAT[op.kind](op, *codes)


# In and out -------------------------------------------------------------------------------------------------

def to_codes(op, values, quants, out) -> np.ndarray:
    """reference/quantize.h AffineQuantize of reals; reference/requantize.h between codes."""
    return quantize(values[0], out) if quants[0] is None else rescaled(values[0], quants[0], out)


def to_reals(op, codes, quants, out) -> np.ndarray:
    """reference/dequantize.h."""
    return dequantize(codes[0], quants[0])


INT8: Mapping[str, Kernel] = {
    "conv2d": conv2d,
    "depthwise_conv2d": depthwise_conv2d,
    "fully_connected": fully_connected,
    "add": pointwise_int8.add_or_sub,
    "sub": pointwise_int8.add_or_sub,
    "mul": pointwise_int8.mul,
    "relu": pointwise_int8.relu,
    "relu6": pointwise_int8.relu,
    "leaky_relu": pointwise_int8.leaky_relu,
    "logistic": pointwise_int8.logistic,
    "tanh": pointwise_int8.tanh,
    "softmax": pointwise_int8.softmax,
    "average_pool2d": average_pool2d,
    "max_pool2d": max_pool2d,
    "mean": mean,
    "pad": pad,
    "concat": move,
    "reshape": move,
    "transpose": move,
    "quantize": to_codes,
    "dequantize": to_reals,
}
