"""Element by element in 8-bit integers, and softmax: bit for bit as TensorFlow Lite Micro's kernels.

Kernels as in kernels_int8.py, with the same way of naming their sources.
"""

import math

import numpy as np

from toolchain.ir.quant import QuantParams, divide_by_power_of_two, doubling_high_mul, fixed_point, requantize
from toolchain.runtime import fixedpoint, multipliers
from toolchain.runtime.codes import by_table, expect_output, finish, rescaled


def add_or_sub(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/add.h, reference/sub.h: inputs << 20 brought to one scale, added, requantized."""
    *terms, total = multipliers.sum_terms(*quants, out)
    a, b = (_wide(*operand) for operand in zip(codes, quants, terms, strict=True))
    return finish(a + b if op.kind == "add" else a - b, 0, *total, out, op.attrs["activation"])


def _wide(code: np.ndarray, quant: QuantParams, term: multipliers.Pair) -> np.ndarray:
    zero, shift = int(quant.zero_point), multipliers.SUM_SHIFT
    return by_table(code, lambda every: requantize((every - zero) << shift, *term))


def mul(op, codes, quants, out) -> np.ndarray:
    """reference/integer_ops/mul.h."""
    a, b = (code.astype(np.int64) - int(quant.zero_point) for code, quant in zip(codes, quants, strict=True))
    return finish(a * b, 0, *multipliers.product(*quants, out), out, op.attrs["activation"])


def relu(op, codes, quants, out) -> np.ndarray:
    """activations_common.cc CalculateReluOpData, for relu and relu6.

    TFLite Micro's relu6 takes the output's parameters to be the input's, and then gives these same codes.
    Where they differ, this is what LiteRT's reference kernel does.
    """
    return rescaled(codes[0], quants[0], out, op.kind)


def leaky_relu(op, codes, quants, out) -> np.ndarray:
    """reference/leaky_relu.h QuantizeLeakyRelu: a negative alpha scales by |alpha| and negates."""
    alpha = op.attrs["alpha"]
    above, below = multipliers.ratio(quants[0], out), multipliers.ratio(quants[0], out, alpha)

    def every_code(every):
        x = every - int(quants[0].zero_point)
        negative = requantize(x, *below) * (-1 if alpha < 0 else 1)
        y = np.where(x >= 0, requantize(x, *above), negative) + int(out.zero_point)
        return np.clip(y, -128, 127).astype(np.int8)

    return by_table(codes[0], every_code)


def _squash(codes, quant: QuantParams, curve, output_bits: int, zero_point: int) -> np.ndarray:
    """reference/integer_ops/logistic.h, tanh.h: 4 integer bits going in; beyond +-15 the output saturates.

    curve: fixedpoint function of (raw, integer bits); output_bits: fraction bits of the output
    """
    real = float(quant.scale) * 2**27
    radius = math.floor(15 * 2.0 ** (27 - math.frexp(real)[1]))
    multiplier, shift = fixed_point(min(real, multipliers.LARGEST))  # from there on, the radius is 0

    def every_code(every):
        x = every - int(quant.zero_point)
        inside = curve(requantize(x, multiplier, shift), 4)
        y = divide_by_power_of_two(inside, 31 - output_bits) + zero_point
        y = np.where(x <= -radius, -128, np.where(x >= radius, 127, y))
        return np.clip(y, -128, 127).astype(np.int8)

    return by_table(codes, every_code)


def logistic(op, codes, quants, out) -> np.ndarray:
    """logistic_common.cc."""
    expect_output(op, out, 1 / 256, -128)
    return _squash(codes[0], quants[0], fixedpoint.logistic, 8, -128)


def tanh(op, codes, quants, out) -> np.ndarray:
    """tanh.cc."""
    expect_output(op, out, 1 / 128, 0)
    return _squash(codes[0], quants[0], fixedpoint.tanh, 7, 0)


def softmax(op, codes, quants, out) -> np.ndarray:
    """reference/softmax.h: exps of (code - largest), summed in 12 integer bits, times the sum's reciprocal.

    From 4,096 codes in a row TFLite's sum can overflow, which it leaves undefined; here it saturates.
    """
    expect_output(op, out, 1 / 256, -128)
    exps = multipliers.softmax_exps(quants[0], op.attrs["beta"])
    steps = codes[0].max(axis=-1, keepdims=True).astype(np.int64) - codes[0]
    total = fixedpoint.rescale(exps, -12)[steps].sum(axis=-1, keepdims=True)
    inverse, bits = fixedpoint.reciprocal(np.minimum(total, 2**31 - 1), 12)
    y = divide_by_power_of_two(doubling_high_mul(inverse, exps[steps]), bits + 31 - 8) - 128
    return np.minimum(y, 127).astype(np.int8)
