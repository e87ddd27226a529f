"""Sums of products in 8-bit integers: convolutions and matrices. Kernels as in kernels_int8.py.

Weights may have a zero point, as TFLite's uint8 networks have: reference/{conv,depthwiseconv_uint8,
fully_connected,transpose_conv}.h subtract it before they multiply.
"""

import numpy as np

from toolchain.ir.check import WEIGHTED
from toolchain.ir.graph import Op
from toolchain.ir.quant import QuantParams, fixed_point
from toolchain.runtime import multipliers
from toolchain.runtime.codes import finish
from toolchain.runtime.windows import convolution, overlap_add, pad_spatial, taps


def _exact(products: int, largest: int) -> type:
    """The float type that holds sums of so many products of at most `largest`: 2**24, 2**53."""
    return np.float32 if products * largest < 2**24 else np.float64


def _largest(weight: np.ndarray, factor: int) -> int:
    """Of the products of centred weights and what is at most `factor`."""
    return factor * (2**7 if weight.dtype == np.int8 else 2**8)


def _finish_weighted(accumulator: np.ndarray, op: Op, weight, codes, quants, out: QuantParams) -> np.ndarray:
    """Fold in the bias and what the input's zero point adds, then requantize. weight: centred"""
    offset = multipliers.folded_bias(quants[0], weight, codes[2], WEIGHTED[op.kind])
    pairs = multipliers.weighted(*quants[:2], out)
    return finish(accumulator, offset, *pairs, out, op.attrs["activation"])


def conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/conv.h ConvPerChannel; padding holds the input's zero point."""
    x, weight = codes[0], multipliers.centred(codes[1], quants[1])
    exact = _exact(weight[0].size, _largest(weight, 2**7))
    x = pad_spatial(x.astype(exact), op.attrs["pads"], quants[0].zero_point)
    return _finish_weighted(convolution(x, weight.astype(exact), op.attrs), op, weight, codes, quants, out)


def depthwise_conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/depthwise_conv.h DepthwiseConvPerChannel."""
    x, weight = codes[0], multipliers.centred(codes[1], quants[1])
    x = np.repeat(x, op.attrs["multiplier"], axis=-1).astype(np.int32)
    x, kernel = pad_spatial(x, op.attrs["pads"], quants[0].zero_point), weight.astype(np.int32)
    accumulator = sum(view * kernel[0, i, j] for i, j, view in taps(x, weight.shape[1:3], op.attrs))
    return _finish_weighted(accumulator, op, weight, codes, quants, out)


def transpose_conv2d(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/transpose_conv.h TransposeConv: codes less the zero point, scattered."""
    x, weight, bias = codes[0], multipliers.centred(codes[1], quants[1]), codes[2]
    exact = _exact(weight[0].size, _largest(weight, 2**8))
    centred = x.astype(exact) - exact(quants[0].zero_point)
    accumulator = overlap_add(centred, weight.astype(exact), op.attrs)
    pairs = multipliers.weighted(*quants[:2], out)
    return finish(accumulator, bias, *pairs, out, op.attrs["activation"])


def fully_connected(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/fully_connected.h."""
    weight = multipliers.centred(codes[1], quants[1])
    exact = _exact(weight.shape[1], _largest(weight, 2**7))
    accumulator = codes[0].astype(exact) @ weight.astype(exact).T
    return _finish_weighted(accumulator, op, weight, codes, quants, out)


def product_pair(a: QuantParams, b: QuantParams, out: QuantParams) -> multipliers.Pair:
    """For batch_matmul: kernel_util.cc GetQuantizedConvolutionMultipler multiplies the scales in float32."""
    return fixed_point(float(a.scale * b.scale) / float(out.scale))


def batch_matmul(op, codes, quants, out) -> np.ndarray:
    """reference/batch_matmul.h, both operands less their zero points."""
    turned = (op.attrs["transpose_a"], op.attrs["transpose_b"])
    a, b = (code.swapaxes(-1, -2) if turn else code for code, turn in zip(codes, turned, strict=True))
    exact = _exact(a.shape[-1], 2**16)
    a, b = (code.astype(exact) - exact(q.zero_point) for code, q in zip((a, b), quants, strict=True))
    return finish(a @ b, 0, *product_pair(*quants, out), out)
