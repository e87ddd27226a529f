"""layer_norm in integers: our own definition, for TensorFlow Lite composes it of other ops.

gamma and beta are float32 constants in a QUANTIZED graph too: they are read at build time, so `quantize` and
the doors leave them as they are. Over the N codes q that are normalized together, with sums S of q and Q of
q * q (their zero point cancels):

    V = N * Q - S * S                                  N * N times the variance in steps, exact
    y = (N * q - S) / sqrt(V + E)                      E = epsilon * N * N / scale**2
    code = zero_point + round(y * gamma / out.scale + beta / out.scale)

V + E is held with `lift` fraction bits in 62, 1 / sqrt of it with 31 significant bits from four Newton steps,
y with `fraction` bits in 32, gamma / out.scale as a 32-bit gain, beta / out.scale with 16 fraction bits. All
shifts to the right round down but the last, which rounds halves up. The code is within 1 of the real one's.
"""

from dataclasses import dataclass
import math

import numpy as np

from toolchain.errors import Unsupported
from toolchain.ir.graph import Op
from toolchain.ir.quant import RANGE, QuantParams

MOST = 2**22
"""How many codes may be normalized together: N * q - S fits 32 bits and N * Q fits 63."""
BETA_BITS = 16
FIRST_GUESS = 2290047081, 1308598332
"""1 / sqrt(z) ~= 2.13277 - 1.21873 z on [1/4, 1), within 8.6 %: the minimax line, 30 fraction bits."""
NEWTON_STEPS = 4


@dataclass(frozen=True, eq=False)
class NormIntegers:
    """What scales, epsilon, gamma and beta become.

    count:      N
    spread:     E * 2**lift, below 2**62
    lift:       even; below 0, V is shifted to the right
    fraction:   fraction bits of y, so many that it fits 31 bits
    gain:       gamma / out.scale * 2**(gain_shift + BETA_BITS - fraction), int32, at most 2**30
    gain_shift: brings y * gain to BETA_BITS fraction bits; in [0, 62]
    offset:     beta / out.scale * 2**BETA_BITS, int32
    """

    count: int
    spread: int
    lift: int
    fraction: int
    gain: np.ndarray
    gain_shift: int
    offset: np.ndarray


def norm_integers(op: Op, count: int, x: QuantParams, gamma, beta, out: QuantParams) -> NormIntegers:
    """For layer_norm over `count` codes. Raises Unsupported for more than MOST."""
    if count > MOST:
        raise Unsupported(f"{op.name}: int8 layer_norm over {count:,} values at once; at most {MOST:,}")
    epsilon = float(np.float32(op.attrs["epsilon"])) * count**2 / float(x.scale) ** 2
    room = 62 - (count**2 * 2**14 + math.ceil(epsilon)).bit_length()
    lift, fraction = room - room % 2, 30 - math.frexp(_largest(count, epsilon))[1]
    gains, offsets = (np.asarray(values, np.float64) / float(out.scale) for values in (gamma, beta))
    bits = 30 - math.frexp(float(np.abs(gains).max(initial=0)))[1]
    bits = min(max(bits, BETA_BITS - fraction), 62 + BETA_BITS - fraction, 40)
    gain, offset = _int32(np.ldexp(gains, bits)), _int32(np.ldexp(offsets, BETA_BITS))
    spread = round(math.ldexp(epsilon, lift))
    return NormIntegers(count, spread, lift, fraction, gain, fraction + bits - BETA_BITS, offset)


def _largest(count: int, epsilon: float) -> float:
    """What |y| stays below: one code that lies apart from all others, or epsilon that outweighs them."""
    return min(math.sqrt(count), 256 * count / math.sqrt(max(epsilon, 1.0)))


def _int32(reals: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(reals), *RANGE["int32"]).astype(np.int32)


def reciprocal_sqrt(value: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(r, half) with 1 / sqrt(value) ~= r * 2**(half - 62), within 2**-26 of it.

    value: int64, in [1, 2**62); r: uint64, in [2**30, 2**31 + 1]; half: int64, in [1, 31]
    """
    mantissa, half = np.asarray(value).astype(np.uint64), np.zeros(np.shape(value), np.int64)
    for step in (32, 16, 8, 4, 2):
        small = mantissa < np.uint64(1 << (64 - step))
        mantissa = np.where(small, mantissa << np.uint64(step), mantissa)
        half += np.where(small, step // 2, 0)
    z = mantissa >> np.uint64(32)
    constant, slope = map(np.uint64, FIRST_GUESS)
    r = constant - (slope * z >> np.uint64(32))
    for _ in range(NEWTON_STEPS):  # r' = r (3 - z r r) / 2
        product = z * (r * r >> np.uint64(32)) >> np.uint64(32)
        r = r * (np.uint64(3 << 28) - product) >> np.uint64(29)
    return r, half


def layer_norm(op, codes, quants, out) -> np.ndarray:
    """This module's definition."""
    x, axes = codes[0].astype(np.int64), op.attrs["axes"]
    count = math.prod(x.shape[axis] for axis in axes)
    integers = norm_integers(op, count, quants[0], *codes[1:], out)
    total, squares = (values.sum(axis=axes, keepdims=True) for values in (x, x * x))
    y = _normalized(count * x - total, count * squares - total * total, integers)
    steps = (y * integers.gain >> integers.gain_shift) + integers.offset
    scaled = (steps + (1 << (BETA_BITS - 1))) >> BETA_BITS
    return np.clip(scaled + int(out.zero_point), -128, 127).astype(np.int8)


def _normalized(centred: np.ndarray, spread: np.ndarray, integers: NormIntegers) -> np.ndarray:
    """centred / sqrt(spread + E) with `fraction` bits; 0 where all codes are the same."""
    lifted = spread << integers.lift if integers.lift >= 0 else spread >> min(-integers.lift, 63)
    r, half = reciprocal_sqrt(np.maximum(lifted + integers.spread, 1))
    shift = 62 - half - integers.lift // 2 - integers.fraction
    return centred * r.astype(np.int64) >> np.clip(shift, 0, 63)
