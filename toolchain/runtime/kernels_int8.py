"""The op table in 8-bit integers, bit for bit as TensorFlow Lite Micro's reference kernels.

A kernel takes (op, input codes, their QuantParams, the output's QuantParams) and returns the output codes. It
names the TFLite file whose arithmetic it has: under tensorflow/lite/micro/kernels, or kernels/internal.
"""

from collections.abc import Callable, Mapping, Sequence
import math

import numpy as np

from toolchain.ir.graph import Op
from toolchain.ir.quant import RANGE, QuantParams, clamp_range, dequantize, quantize
from toolchain.runtime import (
    curves_int8,
    kernels_float,
    log_softmax_int8,
    moving,
    multipliers,
    norm_int8,
    pairs_int8,
    pointwise_int8,
    resize_int8,
    weighted_int8,
)
from toolchain.runtime.codes import expect_same, finish, rescaled
from toolchain.runtime.windows import pad_spatial, taps, window_sizes

Params = QuantParams | None
Kernel = Callable[[Op, Sequence[np.ndarray], Sequence[Params], Params], np.ndarray]


# Reductions and moves ---------------------------------------------------------------------------------------

def average_pool2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/pooling.h AveragePool: raw codes, padding left out, halves away from zero."""
    expect_same(op, quants, out)
    padded = pad_spatial(codes[0].astype(np.int32 if out.dtype == "int8" else np.int64), op.attrs["pads"], 0)
    total = sum(view for _, _, view in taps(padded, op.attrs["kernel"], op.attrs))
    sizes = window_sizes(codes[0].shape[1:3], op.attrs)[..., None]
    y = np.sign(total) * ((np.abs(total) + sizes // 2) // sizes)
    return np.clip(y, *clamp_range(op.attrs["activation"], out)).astype(out.dtype)


def max_pool2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/pooling.h MaxPool."""
    expect_same(op, quants, out)
    y = kernels_float.max_of_windows(op, codes[0], RANGE[out.dtype][0])
    return np.clip(y, *clamp_range(op.attrs["activation"], out)).astype(out.dtype)


def mean(op, codes, quants, out) -> np.ndarray:
    """reference/reduce.h QuantizedMeanOrSum."""
    count = _reduced(op, codes[0])
    return _summed(op, codes[0], quants[0], multipliers.average(quants[0], out, count), out)


def total(op, codes, quants, out) -> np.ndarray:
    """reference/reduce.h QuantizedMeanOrSum."""
    return _summed(op, codes[0], quants[0], multipliers.ratio(quants[0], out), out)


def _reduced(op: Op, x: np.ndarray) -> int:
    """How many codes make one."""
    return math.prod(x.shape[axis] for axis in op.attrs["axes"])


def _summed(op: Op, x: np.ndarray, quant: QuantParams, pair: multipliers.Pair, out: QuantParams):
    y = x.sum(axis=op.attrs["axes"], keepdims=op.attrs["keepdims"], dtype=np.int64)
    return finish(y, -int(quant.zero_point) * _reduced(op, x), *pair, out)


def pad(op, codes, quants, out) -> np.ndarray:
    """pad_common.cc: padding holds the value's code, for 0 the zero point."""
    expect_same(op, quants, out)
    return np.pad(codes[0], op.attrs["pads"], constant_values=quantize(op.attrs["value"], out))


def move(op, codes, quants, out) -> np.ndarray:
    """Ops that hand codes on, and of several the smallest or largest."""
    expect_same(op, quants, out)
    return kernels_float.FLOAT[op.kind](op, *codes)


def argmax(op, codes, quants, out) -> np.ndarray:
    """reference/arg_min_max.h, on codes of any scale."""
    return moving.argmax(op, *codes)


# In and out -------------------------------------------------------------------------------------------------

def to_codes(op, values, quants, out) -> np.ndarray:
    """reference/quantize.h AffineQuantize of reals; reference/requantize.h between codes."""
    return quantize(values[0], out) if quants[0] is None else rescaled(values[0], quants[0], out)


def to_reals(op, codes, quants, out) -> np.ndarray:
    """reference/dequantize.h."""
    return dequantize(codes[0], quants[0])


INT8: Mapping[str, Kernel] = {
    "conv2d": weighted_int8.conv2d,
    "depthwise_conv2d": weighted_int8.depthwise_conv2d,
    "transpose_conv2d": weighted_int8.transpose_conv2d,
    "fully_connected": weighted_int8.fully_connected,
    "batch_matmul": weighted_int8.batch_matmul,
    "layer_norm": norm_int8.layer_norm,
    "add": pointwise_int8.add_or_sub,
    "sub": pointwise_int8.add_or_sub,
    "mul": pointwise_int8.mul,
    "div": pairs_int8.div,
    "minimum": move,
    "maximum": move,
    "pow": curves_int8.power,
    "relu": pointwise_int8.relu,
    "relu6": pointwise_int8.relu,
    "leaky_relu": pointwise_int8.leaky_relu,
    "prelu": pairs_int8.prelu,
    "elu": curves_int8.table,
    "gelu": curves_int8.table,
    "hard_swish": curves_int8.hard_swish,
    "softplus": curves_int8.softplus,
    "abs": curves_int8.absolute,
    "neg": curves_int8.negative,
    "exp": curves_int8.table,
    "log": curves_int8.table,
    "sqrt": curves_int8.sqrt,
    "rsqrt": curves_int8.rsqrt,
    "logistic": pointwise_int8.logistic,
    "tanh": pointwise_int8.tanh,
    "softmax": pointwise_int8.softmax,
    "log_softmax": log_softmax_int8.log_softmax,
    "average_pool2d": average_pool2d,
    "max_pool2d": max_pool2d,
    "mean": mean,
    "sum": total,
    "reduce_max": move,
    "reduce_min": move,
    "argmax": argmax,
    "resize_nearest": move,
    "resize_bilinear": resize_int8.resize_bilinear,
    "depth_to_space": move,
    "space_to_depth": move,
    "pad": pad,
    "mirror_pad": move,
    "concat": move,
    "slice": move,
    "gather": move,
    "tile": move,
    "select": move,
    "reshape": move,
    "transpose": move,
    "quantize": to_codes,
    "dequantize": to_reals,
}
