"""log_softmax in integers. Kernels as in kernels_int8.py."""

import math

import numpy as np

from toolchain.ir.quant import QuantParams, divide_by_power_of_two, fixed_point, requantize
from toolchain.runtime import fixedpoint, multipliers
from toolchain.runtime.codes import expect_output

OUTPUT = 16 / 256, 127
"""Scale and zero point: [-16, 0)."""
FARTHEST = -(1 << 30)
"""From -16 on, with 5 integer bits, the lowest code is the answer."""


def scaled_steps(x: QuantParams) -> np.ndarray:
    """-steps * scale for 0 to 255 steps below the largest code, 5 integer bits; int64 (256,), >= FARTHEST."""
    multiplier, shift = fixed_point(min(float(x.scale) * 2**26, multipliers.LARGEST))
    radius = math.floor(31 * 2.0 ** (26 - shift))
    below = -np.arange(256)
    scaled = requantize(np.maximum(below, -radius), multiplier, shift)
    return np.where(below >= -radius, np.maximum(scaled, FARTHEST), FARTHEST)


def log_softmax(op, codes, quants, out) -> np.ndarray:
    """reference/log_softmax.h LogSoftmaxQuantized: x - largest - log(sum of exps), summed as softmax does.

    What TFLite skips because it lies too far below has the lowest code here too.
    """
    expect_output(op, out, *OUTPUT)
    exps, scaled = multipliers.softmax_exps(quants[0], 1.0), scaled_steps(quants[0])
    steps = codes[0].max(axis=-1, keepdims=True).astype(np.int64) - codes[0]
    total = fixedpoint.rescale(exps, -12)[steps].sum(axis=-1, keepdims=True)
    log_total = fixedpoint.log(np.minimum(total, 2**31 - 1), 12, 5)
    y = divide_by_power_of_two(scaled[steps] - log_total, 31 - 5 - 4) + 127
    return np.clip(y, -128, 127).astype(np.int8)
