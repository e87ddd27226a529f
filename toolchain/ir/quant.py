"""Affine quantization, real = scale * (q - zero_point), and the fixed-point arithmetic between scales.

Sources: TensorFlow Lite 8-bit quantization specification; gemmlowp doc/quantization.md and
fixedpoint/fixedpoint.h; Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference".
"""

from dataclasses import dataclass
import math

import numpy as np

RANGE = {**{f"int{bits}": (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in range(2, 8)},
         "int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1),
         "int64": (-(2**63), 2**63 - 1)}
HELD_AS = {f"int{bits}": "int8" for bits in range(2, 8)}
"""dtype of codes -> that of the arrays which hold them, where it is another."""
ACTIVATION_RANGE = {None: (None, None), "relu": (0.0, None), "relu6": (0.0, 6.0)}

BEYOND = np.float32(2.0**33)
"""More steps than lie between any two codes: what is further away is clamped all the same."""


@dataclass(frozen=True, eq=False)
class QuantParams:
    """real = scale * (q - zero_point), per tensor or per slice along `axis`.

    scale:      float32, shape () or (slices,), > 0 and finite
    zero_point: int32, same shape; 0 for biases, and for weights but those of TFLite's uint8 networks
    axis:       the sliced axis, None = per tensor
    dtype:      of the codes: a key of RANGE; those of fewer than 8 bits, of weights, are held in int8 arrays
    Raises ValueError where one of these does not hold.
    """

    scale: np.ndarray
    zero_point: np.ndarray
    axis: int | None = None
    dtype: str = "int8"

    def __post_init__(self):
        if self.dtype not in RANGE:
            raise ValueError(f"codes are {', '.join(RANGE)}; got {self.dtype}")
        low, high = RANGE[self.dtype]
        if not np.all((np.asarray(self.zero_point) >= low) & (np.asarray(self.zero_point) <= high)):
            raise ValueError(f"zero_point {np.ravel(self.zero_point)[:4]} is outside "
                             f"{self.dtype} [{low}, {high}]")
        object.__setattr__(self, "scale", np.asarray(self.scale, np.float32))
        object.__setattr__(self, "zero_point", np.asarray(self.zero_point, np.int32))
        if not (np.all(self.scale > 0) and np.all(np.isfinite(self.scale))):
            raise ValueError(f"scale must be finite and > 0, got {np.ravel(self.scale)[:4]}")
        if self.scale.shape != self.zero_point.shape or self.scale.ndim != (0 if self.axis is None else 1):
            raise ValueError(f"scale {self.scale.shape} and zero_point {self.zero_point.shape} must both be "
                             f"{'scalars' if self.axis is None else 'vectors'} for axis {self.axis}")

    def same_as(self, other: "QuantParams | None") -> bool:
        """Whether a code means the same real number under both."""
        return (other is not None and self.axis == other.axis and self.dtype == other.dtype
                and np.array_equal(self.scale, other.scale)
                and np.array_equal(self.zero_point, other.zero_point))

    def along(self, rank: int) -> tuple[np.ndarray, np.ndarray]:
        """Scale and zero point shaped to broadcast against a tensor of `rank` dimensions."""
        if self.axis is None:
            return self.scale, self.zero_point
        shape = [1] * rank
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)


def activation_params(low: float, high: float, dtype: str = "int8") -> QuantParams:
    """Asymmetric parameters covering [low, high], first widened to hold 0 exactly, because padding writes it.

    A zero-width range gets scale 1. int16 is symmetric (zero_point 0), as the specification's 16x8 mode asks.
    Raises ValueError where the range is not finite or upside down.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low <= high):
        raise ValueError(f"range [{low}, {high}] is not finite and ordered")
    low, high = min(low, 0.0), max(high, 0.0)
    code_low, code_high = RANGE[dtype]
    if dtype == "int16":
        return QuantParams(_positive_scale(max(-low, high) / code_high), 0, dtype=dtype)
    scale = _positive_scale((high - low) / (code_high - code_low))
    zero_point = round_half_away(code_low - low / float(scale))
    return QuantParams(scale, int(np.clip(zero_point, code_low, code_high)), dtype=dtype)


def _positive_scale(scale) -> np.ndarray:
    """float32 of each `scale`; 1 where it is zero, and never below the smallest normal number."""
    normal = np.maximum(np.asarray(scale, np.float32), np.finfo(np.float32).tiny)
    return np.where(np.equal(scale, 0), np.float32(1.0), normal)


def weight_params(weight: np.ndarray, axis: int | None, dtype: str = "int8") -> QuantParams:
    """Symmetric narrow-range parameters, one per slice along `axis`: scale = max|w| / 127, for int4 / 7.

    An all-zero slice gets scale 1 (never 0): its codes are 0 under any scale.
    """
    largest = np.abs(weight).max(axis=_others(weight, axis)).astype(np.float64)
    scale = _positive_scale(largest / RANGE[dtype][1])
    return QuantParams(scale, np.zeros(scale.shape, np.int32), axis, dtype)


def affine_params(weight: np.ndarray, axis: int | None, dtype: str = "int8") -> QuantParams:
    """Asymmetric parameters, one per slice along `axis`, over the slice's range, widened to hold 0 exactly.

    scale = (max - min) / (2**bits - 1), zero_point = round(lowest code - min / scale); a zero-width range
    gets scale 1.
    """
    others, (code_low, code_high) = _others(weight, axis), RANGE[dtype]
    low = np.minimum(weight.min(axis=others), 0).astype(np.float64)
    high = np.maximum(weight.max(axis=others), 0).astype(np.float64)
    scale = _positive_scale((high - low) / (code_high - code_low))
    zero_point = np.clip(round_half_away(code_low - low / scale.astype(np.float64)), code_low, code_high)
    return QuantParams(scale, zero_point.astype(np.int32), axis, dtype)


def _others(weight: np.ndarray, axis: int | None) -> tuple[int, ...] | None:
    return None if axis is None else tuple(i for i in range(weight.ndim) if i != axis)


def round_half_away(value):
    """Round to the nearest integer, halves away from zero, as C's round() and TFLite's TfLiteRound do."""
    whole = np.trunc(value)
    return whole + np.where(np.abs(value - whole) >= 0.5, np.copysign(1, value), 0).astype(whole.dtype)


def quantize(real: np.ndarray, params: QuantParams, narrow: bool = False) -> np.ndarray:
    """Codes of `real`: clamp(round(real / scale) + zero_point). In float32, as TFLite's AffineQuantize does.

    narrow: leave out the lowest code, so that weights stay within [-127, 127]
    """
    real = np.asarray(real, np.float32)
    scale, zero_point = params.along(real.ndim)
    low, high = RANGE[params.dtype]
    with np.errstate(over="ignore"):
        steps = np.clip(real / scale, -BEYOND, BEYOND)
    codes = round_half_away(steps).astype(np.float64) + zero_point
    return np.clip(codes, low + narrow, high).astype(HELD_AS.get(params.dtype, params.dtype))


def dequantize(codes: np.ndarray, params: QuantParams) -> np.ndarray:
    """Reals of `codes`, float32."""
    scale, zero_point = params.along(np.ndim(codes))
    return (scale * (np.asarray(codes).astype(np.int64) - zero_point).astype(np.float32)).astype(np.float32)


def fixed_point(real: float) -> tuple[int, int]:
    """Return (multiplier, shift) with real ~= multiplier * 2**(shift - 31).

    multiplier: Q31, in [2**30, 2**31), or 0 for 0 and for what is below 2**-32; shift: > 0 shifts left.
    Same convention as TFLite's QuantizeMultiplier. Raises ValueError where real is negative or not finite, or
    rounds to 2**30 or more.
    """
    if not math.isfinite(real) or real < 0:
        raise ValueError(f"a multiplier must be finite and >= 0, got {real}")
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = int(math.floor(fraction * (1 << 31) + 0.5))
    if multiplier == 1 << 31:
        multiplier, shift = multiplier // 2, shift + 1
    if shift > 30:
        raise ValueError(f"a multiplier must be below 2**30, got {real}")
    return (0, 0) if shift < -31 else (multiplier, shift)


def fixed_points(reals) -> tuple[np.ndarray, np.ndarray]:
    """`fixed_point` of each element: int64 multipliers and shifts of the same shape."""
    reals = np.asarray(reals, np.float64)
    pairs = [fixed_point(float(real)) for real in reals.ravel()]
    multipliers, shifts = (np.array(column, np.int64).reshape(reals.shape) for column in zip(*pairs))
    return multipliers, shifts


def doubling_high_mul(a, b) -> np.ndarray:
    """round(a * b / 2**31), ties upwards, by truncation of the nudged product; int64 in, int64 out.

    gemmlowp SaturatingRoundingDoublingHighMul, with its one saturating case (both -2**31).
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    nudged = product + np.where(product >= 0, 1 << 30, 1 - (1 << 30))
    high = np.where(nudged >= 0, nudged >> 31, -((-nudged) >> 31))
    return np.minimum(high, 2**31 - 1)


def divide_by_power_of_two(value, exponent) -> np.ndarray:
    """round(value / 2**exponent), ties away from zero (gemmlowp RoundingDivideByPOT); exponent in [0, 31]."""
    value, exponent = np.asarray(value, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    return (value >> exponent) + ((value & mask) > (mask >> 1) + (value < 0))


def requantize(accumulator, multiplier, shift) -> np.ndarray:
    """accumulator * multiplier * 2**(shift - 31) with two roundings; int64 in, int64 out.

    accumulator is an int32 value; a left shift wraps at 32 bits as the C it mirrors would.
    TFLite MultiplyByQuantizedMultiplier (double rounding form).
    """
    left, right = np.maximum(shift, 0), np.maximum(-np.asarray(shift), 0)
    shifted = (np.asarray(accumulator, np.int64) << left).astype(np.int32).astype(np.int64)
    return divide_by_power_of_two(doubling_high_mul(shifted, multiplier), right)


def clamp_range(activation: str | None, params: QuantParams) -> tuple[int, int]:
    """Lowest and highest output code of a fused activation (TFLite CalculateActivationRangeQuantized)."""
    low, high = RANGE[params.dtype]
    real_low, real_high = ACTIVATION_RANGE[activation]
    return (low if real_low is None else int(quantize(real_low, params)),
            high if real_high is None else int(quantize(real_high, params)))
